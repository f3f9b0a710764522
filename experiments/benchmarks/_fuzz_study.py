"""The smallest study with real cases, made here, so that a whole hospital can be asked anything at all."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from common.seeding import generator
from common.study.study import Study, parse

LENGTH = 36 * 4 + 4 + 4 * 2 + 2
"""Parameters of its network."""
_TEXT = """
title = "Tiny"
rounds = 3
engine = "inline"
source = { name = "medmnist" }
partition = { name = "quantity", hospitals = 4 }
task = { name = "classification", network = { name = "mlp", hidden = [4] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 8, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
"""


@lru_cache(maxsize=1)
def _folder() -> TemporaryDirectory[str]:
    """Gone with the process."""
    return TemporaryDirectory(prefix="wardround-fuzz-")


def own_folder() -> Path:
    """Of the hospital that is asked."""
    return Path(_folder().name)


@lru_cache(maxsize=1)
def tiny_study() -> Study:
    """Of 60 pictures of 6 x 6."""
    rng = generator(0, "fuzz")
    sizes = {"train": 40, "val": 10, "test": 10}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 6, 6), dtype=np.uint8) for part, n in sizes.items()}
    arrays |= {f"{part}_labels": np.arange(n, dtype=np.uint8)[:, None] % 2 for part, n in sizes.items()}
    np.savez(own_folder() / "tiny.npz", allow_pickle=False, **arrays)
    return parse(_TEXT, [f'source.folder="{own_folder()}"'])
