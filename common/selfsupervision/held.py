"""Draws for a case as it is held: of the case alone, so that a score is the same whoever else is scored."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor


def generators_of(inputs: Sequence[Tensor] | Tensor, purpose: str) -> list[np.random.Generator]:
    """A generator for each case, which follows from its values and the purpose: the same in every round and batch.

    Curves over rounds are then of one set of views, and scores of hospitals merge exactly. Values are taken in
    float32, in whatever precision and on whatever device they are.
    """
    begun = sha256(purpose.encode() + b"\0")
    found = []
    for case in inputs.detach().to("cpu", torch.float32) if isinstance(inputs, Tensor) else inputs:
        own = begun.copy()
        own.update(np.ascontiguousarray(case.detach().cpu().float().numpy(), "<f4").data)
        found.append(np.random.Generator(np.random.PCG64(int.from_bytes(own.digest(), "big"))))
    return found
