"""Draws for a case as it is held: of the case alone, so that a score is the same whoever else is scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from common.seeding import generator


def generators_of(inputs: Sequence[Tensor] | Tensor, purpose: str) -> list[np.random.Generator]:
    """A generator for each case, which follows from its values and the purpose: the same in every round and batch.

    Curves over rounds are then of one set of views, and scores of hospitals merge exactly.
    """
    return [generator(0, purpose, case.detach().cpu().float().numpy().tobytes().hex()) for case in inputs]
