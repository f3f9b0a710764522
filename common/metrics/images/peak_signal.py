"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

from common.metrics.images.mean_squared import mse
from common.metrics.images.pairs import checked_range


def psnr(image: Any, truth: Any, *, data_range: float) -> float:
    """10 log10(data_range^2 / MSE) in dB; infinite for a perfect image.

    data_range: what values may span, stated. Raises ImageError.
    """
    peak, error = checked_range(data_range), mse(image, truth)
    if error == 0:
        return math.inf
    return 20 * math.log10(peak) - 10 * math.log10(error) if error < math.inf else -math.inf
