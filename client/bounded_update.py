"""The bound of `[defence]` at a hospital's own door: its update is cut to the norm before anything masks it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from common.sums.update import Update


def bounded(update: Update, update_norm: float | None) -> Update:
    """With a mean of L2 norm `update_norm` at most, of the same direction."""
    if update_norm is None:
        return update
    length = float(np.linalg.norm(update.vectors[0].astype(np.float64)))
    most = update_norm * update.weight
    if length <= most:
        return update
    shorter = (update.vectors[0].astype(np.float64) * (most / length)).astype(np.float32)
    return replace(update, vectors=(shorter, *update.vectors[1:]))
