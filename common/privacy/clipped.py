"""A vector clipped in L2, never by rounding longer than the clip norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHRINKING = 1 - 2.0**-18
"""A norm of a million float32 is off by a few 2**-24: so much smaller, no contribution exceeds the clip norm."""


def clipped(vector: NDArray[np.float64], clip_norm: float) -> NDArray[np.float32]:
    """(P,) float32, in the vector's direction and at most clip_norm long."""
    norm = float(np.linalg.norm(vector))
    return (vector * min(1.0, clip_norm * SHRINKING / norm if norm else 1.0)).astype(np.float32)
