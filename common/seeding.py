"""Every draw that does not protect privacy comes from (seed, round, site, purpose), never from global state.

The words are hashed, so streams are independent whatever the arrival order or the engine. Nothing here may
make a key, a mask or privacy noise: those come from the operating system.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def entropy(seed: int, *words: object) -> int:
    """A 256-bit whole number from the seed and any words. Equal words give equal numbers on every machine."""
    text = "\x1f".join(str(word) for word in (seed, *words))
    return int.from_bytes(sha256(text.encode()).digest(), "big")


def generator(seed: int, *words: object) -> np.random.Generator:
    """A NumPy generator for one purpose: `generator(seed, round, site, "batches")`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy(seed, *words))))


def case_generators(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """A generator for each of so many cases, in order, independent of each other and of what `rng` itself draws.

    Asked for one by one they are the same as asked for together: a case that is augmented alone, as in private
    training, is shown as it would be shown in a batch.
    """
    return rng.spawn(count)


def torch_generator(seed: int, *words: object) -> torch.Generator:
    """A torch CPU generator for one purpose."""
    import torch

    return torch.Generator().manual_seed(entropy(seed, *words) % 2**63)
