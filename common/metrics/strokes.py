"""Thickness and grey level of what is drawn in an image, measured on its pixels.

The intensity is the median of the pixels that are at least half as bright as the brightest, as Pawlowski et al. 2020
measure it. The thickness, where they take the distance transform's mean over the skeleton (Castro et al. 2019), is
here four times its mean over the whole stroke, which is the width of a stripe and asks for no skeleton.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import ImageError
from common.metrics.maps import as_array

FINER = 3
"""Lattice points along a pixel's side, on which the border of a stroke is followed."""
WHITE = 255.0

LARGEST = 2.0
"""Of an image whose white is 1: a network may overshoot, and a file's 0 to 255 is another scale."""

Image = NDArray[np.floating]


def stroke_intensity(image: Image) -> float:
    """The grey level, 0 to 255, of what is drawn in an (H, W) image in [0, 1]; 0 where nothing is.

    Raises ImageError for what is no such image.
    """
    image = _checked(image)
    top = float(image.max())
    return WHITE * float(np.median(image[image >= top / 2])) if top > 0 else 0.0


def stroke_thickness(image: Image) -> float:
    """The width in pixels of the strokes of an (H, W) image, whatever their grey level; 0 where nothing is drawn.

    Raises ImageError for what is no such image.
    """
    image = _checked(image)
    level = stroke_intensity(image) / WHITE
    if level <= 0:
        return 0.0
    finer = ndimage.zoom(image.astype(np.float64), FINER, order=1, grid_mode=True, mode="nearest")
    inside = finer >= level / 2
    if not inside.any():
        return 0.0
    if inside.all():
        return float(min(image.shape))
    depths = ndimage.distance_transform_edt(inside)[inside] - 0.5
    return 4 * float(depths.mean()) / FINER


def _checked(given: Image) -> Image:
    image = as_array(given, "the image")
    if image.ndim != 2 or not image.size or not np.isfinite(image).all() or image.max() > LARGEST:
        raise ImageError(f"the image must be (H, W) finite numbers of which white is 1; its shape is {image.shape}.")
    return image
