"""Outlines of one image without any learning, of images of any library."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.data.image import Image, smallest_dtype
from common.errors import ImageError
from common.segmentation.methods import method_of, segmented
from wardround.imaging.images import as_given, as_image


def segment(
    given: Any,
    method: str,
    *,
    spacing_mm: ArrayLike | None = None,
    largest_part: bool = False,
    fill_holes: bool = False,
    connectivity: int | None = None,
    **options: Any,
) -> Any:
    """A label map of the image, 0 is background, of the same kind of image.

    Args:
        given: any image that the package takes.
        method: "threshold", "otsu", "grow" or "atlas".
        spacing_mm: of arrays, those of atlases too.
        largest_part: of each label only its largest connected part is kept.
        fill_holes: background that a label encloses becomes its own.
        connectivity: of growing and of parts: 4 or 8 neighbours in 2D, 6, 18 or 26 in 3D.
        options: of threshold lower and upper; of otsu classes, 2 to 4; of grow seeds, voxels or with
            seeds_in_mm=True points, and lower and upper, or tolerance about the seeds' mean; of atlas atlases, pairs
            of image and labels, and fusion.

    Raises:
        ImageError: images or options that do not fit.
        UnknownNameError: another method or option.

    Warns where the result has probably failed, such as of a seed that grew nothing.
    """
    image = as_image(given, spacing_mm)
    if method == "atlas":
        options["atlases"] = tuple(_atlas(pair, spacing_mm) for pair in options.get("atlases", ()))
    if connectivity is not None and (method == "grow" or not largest_part):
        options["connectivity"] = connectivity
    found = segmented(
        image, method_of(method, options), largest=largest_part, filled=fill_holes, connectivity=connectivity
    )
    if found.doubts:
        warnings.warn(f"segmentation by {method} has probably failed: {'; '.join(found.doubts)}.", stacklevel=2)
    return as_given(Image(found.labels.astype(smallest_dtype(found.labels)), image.geometry), given)


def _atlas(pair: Any, spacing_mm: ArrayLike | None) -> Any:
    from common.segmentation.atlases import Atlas

    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ImageError(f"atlases are pairs of an image and its labels; {type(pair).__name__} came.")
    image, labels = (as_image(one, _spacing_of(one, spacing_mm)) for one in pair)
    whole = np.rint(labels.values)
    if not np.array_equal(whole, labels.values):
        raise ImageError("an atlas's labels must be whole numbers; they are others.")
    return Atlas(image, Image(whole.astype(np.int64), labels.geometry))


def _spacing_of(given: Any, spacing_mm: ArrayLike | None) -> ArrayLike | None:
    is_tensor = hasattr(given, "detach") and not hasattr(given, "affine")
    return spacing_mm if isinstance(given, np.ndarray) or is_tensor else None
