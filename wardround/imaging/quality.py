"""How near an image comes to the true one: PSNR, SSIM and others.

An image is an array or tensor, an image of SimpleITK, nibabel or MONAI, or the path of a NIfTI file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.errors import ImageError
from common.metrics.images import (
    gradient_energy,
    high_frequencies,
    mean_absolute,
    mean_squared,
    peak_signal,
    structural_similarity,
)
from wardround.imaging.images import as_image


def quality(image: Any, truth: Any, *, data_range: float) -> dict[str, float]:
    """psnr (dB, infinite for a perfect image), ssim, nmse, mse, mae, hfen, sharpness; NaN where one is not defined.

    Args:
        image: any image that the package takes; arrays and tensors may be complex and are compared by magnitude.
        truth: the same, in the same place.
        data_range: what values may span, such as 1 or 255: stated, never read off an image.

    Raises:
        ImageError: images that do not fit, or are smaller than a window of SSIM, 7 pixels.
    """
    one, true = _pair(image, truth)
    return {
        "psnr": peak_signal.psnr(one, true, data_range=data_range),
        "ssim": structural_similarity.ssim(one, true, data_range=data_range),
        "nmse": mean_squared.nmse(one, true),
        "mse": mean_squared.mse(one, true),
        "mae": mean_absolute.mae(one, true),
        "hfen": high_frequencies.hfen(one, true),
        "sharpness": gradient_energy.sharpness(one, true),
    }


def psnr(image: Any, truth: Any, *, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / MSE).

    Args:
        image: any image that the package takes, as for `quality`.
        truth: the same, in the same place.
        data_range: what values may span.

    Returns:
        In dB; infinite for a perfect image.

    Raises:
        ImageError: images that do not fit.
    """
    return peak_signal.psnr(*_pair(image, truth), data_range=data_range)


def ssim(image: Any, truth: Any, *, data_range: float, **options: Any) -> float:
    """Structural similarity in 2D or 3D (Wang et al. 2004).

    Args:
        image: any image that the package takes, as for `quality`.
        truth: the same, in the same place.
        data_range: what values may span.
        options: of `common.metrics.structural_similarity.ssim`, such as its window.

    Returns:
        1 for a perfect image, seldom below 0.

    Raises:
        ImageError: images that do not fit, or are smaller than the window, 7 pixels.
    """
    return structural_similarity.ssim(*_pair(image, truth), data_range=data_range, **options)


def _pair(image: Any, truth: Any) -> tuple[Any, Any]:
    if _is_plain(image) and _is_plain(truth):
        return image, truth
    one, true = as_image(image), as_image(truth)
    if not (_is_plain(image) or _is_plain(truth) or one.geometry.same_place(true.geometry)):
        raise ImageError(
            f"the image does not lie where the truth lies: shapes {one.geometry.shape} and {true.geometry.shape}, "
            f"spacings {one.geometry.spacing_mm} and {true.geometry.spacing_mm} mm; resample it first."
        )
    return one.values, true.values


def _is_plain(given: Any) -> bool:
    """An array or a tensor, which says nothing of its place."""
    return not isinstance(given, (str, Path)) and hasattr(given, "__array__") and not hasattr(given, "affine")
