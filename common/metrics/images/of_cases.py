"""Image scores of a batch, one number a case: their means over cases merge exactly (`common.sums.mean`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_choice, shown
from common.metrics.images.gradient_energy import sharpness
from common.metrics.images.high_frequencies import hfen
from common.metrics.images.mean_squared import nmse
from common.metrics.images.pairs import Values, checked_range
from common.metrics.images.peak_signal import psnr
from common.metrics.images.structural_similarity import LEAST_SIDE_PX, fitting_side, ssim
from common.metrics.maps import as_array

NAMES = ("psnr", "ssim", "nmse", "hfen", "sharpness")
BOUNDS = {
    "psnr": (-100.0, 100.0),
    "ssim": (-1.0, 1.0),
    "nmse": (0.0, 100.0),
    "hfen": (0.0, 100.0),
    "sharpness": (0.0, 100.0),
}
"""Between which a case counts, so that sums hold any model's errors: a perfect image has 100 dB, not infinitely
many, and one hospital's diverged model cannot undo the mean of all."""
WORST = {"psnr": -100.0, "ssim": -1.0, "nmse": 100.0, "hfen": 100.0, "sharpness": 100.0}
"""What an image counts that is no image: NaN or infinite somewhere."""
FARTHEST_RANGES = 1e6
"""Times the data range or the truth's largest value: beyond it values are cut, far beyond where `BOUNDS` end."""


def scores_of_each(
    images: Any, truth: Any, *, data_range: float, complex_images: bool = False, names: Sequence[str] = NAMES
) -> dict[str, NDArray[np.float64]]:
    """(N,) by name, within `BOUNDS`; NaN where a score is not defined, as of a truth of zeros: it counts nothing.

    Each case is worked out by itself in float64, so that no number depends on who else is in the batch.

    Args:
        images: (N, C, *S) arrays or tensors.
        truth: of the same shape, finite.
        data_range: what values may span, stated.
        complex_images: the two channels are real and imaginary part, compared by magnitude.
        names: which of `NAMES`.

    Raises:
        ImageError: shapes that differ or have no channels, or a truth that is not finite.
        UnknownNameError: another name.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ImageError(f"names must be several of {', '.join(NAMES)}; {shown(names)} came.")
    for name in names:
        as_choice(name, "score of images", NAMES)
    checked_range(data_range)
    answered, true = (_values(one) for one in (images, truth))
    if answered.shape != true.shape or true.ndim < 3 or (complex_images and true.shape[1] != 2):
        channels = "2" if complex_images else "C"
        raise ImageError(
            f"images and truth must both be (N, {channels}, *S); they are {answered.shape} and {true.shape}."
        )
    if not np.isfinite(true).all():
        raise ImageError("true images must hold finite numbers; some values are not.")
    if complex_images:
        answered, true = (_magnitude(one) for one in (answered, true))
    rows = [_of_case(*pair, data_range, names) for pair in zip(answered, true, strict=True)]
    return {name: np.array([row[at] for row in rows], np.float64) for at, name in enumerate(names)}


def _values(given: Any) -> Values:
    return np.asarray(as_array(given, "images and truth", may_be_nan=True), np.float64)


def _magnitude(values: Values) -> Values:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.hypot(values[:, :1], values[:, 1:])


def _of_case(image: Values, truth: Values, data_range: float, names: Sequence[str]) -> list[float]:
    if not np.isfinite(image).all():
        defined = [not math.isnan(_score(name, truth, truth, data_range)) for name in names]
        return [WORST[name] if known else math.nan for name, known in zip(names, defined, strict=True)]
    farthest = FARTHEST_RANGES * max(data_range, float(np.abs(truth).max()))
    held = np.clip(image, -farthest, farthest)
    return [_bounded(name, _score(name, held, truth, data_range)) for name in names]


def _score(name: str, image: Values, truth: Values, data_range: float) -> float:
    """NaN where it is not defined of any image with this truth."""
    if name == "psnr":
        return psnr(image, truth, data_range=data_range)
    if name == "ssim":
        side = fitting_side(truth.shape[1:])
        fits = side >= LEAST_SIDE_PX
        return ssim(image, truth, data_range=data_range, side_px=side, channels=True) if fits else math.nan
    if name == "nmse":
        return nmse(image, truth)
    return (hfen if name == "hfen" else sharpness)(image, truth, channels=True)


def _bounded(name: str, value: float) -> float:
    low, high = BOUNDS[name]
    return value if math.isnan(value) else min(max(value, low), high)
