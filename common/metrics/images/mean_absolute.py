"""Mean absolute error of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.metrics.images.pairs import as_pair


def mae(image: Any, truth: Any) -> float:
    """Mean of |image - truth|, in their own unit; 0 is perfect. Raises ImageError."""
    one, true = as_pair(image, truth)
    return float(np.abs(one - true).mean())
