"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004), of images in 2D and 3D."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from common.errors import ImageError
from common.metrics.doors import as_choice, as_number, as_whole
from common.metrics.images.pairs import Values, as_pair, checked_range, in_channels

Window = Literal["uniform", "gaussian"]
WINDOWS = ("uniform", "gaussian")
K1, K2 = 0.01, 0.03
"""Of the constants that keep divisions from zero, in shares of the data range."""
SIDE_PX, LEAST_SIDE_PX, MOST_PX = 7, 3, 1 << 20
SIGMA_PX = 1.5
LARGEST_VALUE = 1e75
"""Its fourth power is a number."""
TRUNCATE = 3.5
"""Standard deviations after which the Gaussian window ends: 11 pixels of Wang et al. for a sigma of 1.5."""


def ssim(
    image: Any,
    truth: Any,
    *,
    data_range: float,
    window: Window = "uniform",
    side_px: int = SIDE_PX,
    sigma_px: float = SIGMA_PX,
    sample_covariance: bool | None = None,
    channels: bool = False,
) -> float:
    """Mean over windows of (2 m m' + c1)(2 cov + c2) / ((m^2 + m'^2 + c1)(var + var' + c2)): 1 is perfect.

    Windows that reach beyond the image are left out. The defaults are scikit-image's and fastMRI's; a "gaussian"
    window gives Wang's own index (equation 13). Axes of one voxel are none.

    Args:
        image: an array or tensor, compared by magnitude where it is complex.
        truth: of the same shape.
        data_range: what values may span, stated.
        window: "uniform", or "gaussian" of `sigma_px` cut after 3.5 of them.
        side_px: of the uniform window, odd.
        sigma_px: of the Gaussian one.
        sample_covariance: divide by one less than the pixels of a window; of the uniform window unless told.
        channels: the first axis counts channels, whose mean it is.

    Raises:
        ImageError: images or numbers that do not fit, as a window larger than the image.
        UnknownNameError: another window.
    """
    one, true = as_pair(image, truth)
    if max(float(np.abs(one).max()), float(np.abs(true).max())) > LARGEST_VALUE:
        raise ImageError(f"values of an image must lie within {LARGEST_VALUE:g} for SSIM; some do not.")
    as_choice(window, "window of SSIM", WINDOWS)
    side = _side(window, side_px, sigma_px)
    unbiased = window == "uniform" if sample_covariance is None else sample_covariance
    constants = (K1 * checked_range(data_range)) ** 2, (K2 * data_range) ** 2
    smooth: Callable[[Values], Values] = (
        partial(uniform_filter, size=side)
        if window == "uniform"
        else partial(gaussian_filter, sigma=sigma_px, truncate=TRUNCATE)
    )
    pairs = zip(in_channels(one, channels), in_channels(true, channels), strict=True)
    return float(np.mean([_of_channel(*pair, side, unbiased, constants, smooth) for pair in pairs]))


def fitting_side(shape: tuple[int, ...]) -> int:
    """Of the uniform window for images (*S): 7, or the largest odd one that fits; below `LEAST_SIDE_PX` none does."""
    least = min((size for size in shape if size != 1), default=1)
    return min(SIDE_PX, least - 1 + least % 2)


def _side(window: str, side_px: int, sigma_px: float) -> int:
    if window == "uniform":
        if as_whole(side_px, "side_px of SSIM", 0, MOST_PX) < LEAST_SIDE_PX or side_px % 2 == 0:
            raise ImageError(f"side_px of SSIM must be odd and at least {LEAST_SIDE_PX}; it is {side_px}.")
        return int(side_px)
    sigma_px = as_number(sigma_px, "sigma_px of SSIM", 0.2, 1000)
    return 2 * int(TRUNCATE * sigma_px + 0.5) + 1


def _of_channel(
    one: Values,
    true: Values,
    side: int,
    unbiased: bool,
    constants: tuple[float, float],
    smooth: Callable[[Values], Values],
) -> float:
    if min(one.shape) < side:
        raise ImageError(
            f"a window of SSIM must fit into the image: it has {side} pixels along each axis, and the image the "
            f"shape {one.shape}; choose a smaller one (side_px, sigma_px)."
        )
    pixels = side**one.ndim
    factor = pixels / (pixels - 1) if unbiased else 1.0
    mean, true_mean = smooth(one), smooth(true)
    variance = factor * (smooth(one * one) - mean * mean)
    true_variance = factor * (smooth(true * true) - true_mean * true_mean)
    covariance = factor * (smooth(one * true) - mean * true_mean)
    c1, c2 = constants
    index = ((2 * mean * true_mean + c1) * (2 * covariance + c2)) / (
        (mean**2 + true_mean**2 + c1) * (variance + true_variance + c2)
    )
    inside = slice(side // 2, -(side // 2))
    return float(index[(inside,) * one.ndim].mean())
