"""Panels of pictures, each a name and pixels: pairs that were registered, and volumes with outlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.errors import StudyError
from common.registration.pictures import checkerboard, difference, scaled

Panels = list[tuple[str, NDArray[np.uint8]]]

SIDE = 192
"""Pixels that the longer side of a panel is enlarged to, about."""
PLANES = ("sagittal", "coronal", "axial")


def pair_panels(moving: NDArray[np.float32], fixed: NDArray[np.float32], moved: NDArray[np.float32]) -> Panels:
    """Six panels of the middle slices of (*S) images, 2D or 3D; differences are grey where the images agree."""
    one, two, three = (upright(image.astype(np.float64)) for image in (moving, fixed, moved))
    panels = [
        ("moving", scaled(one)),
        ("fixed", scaled(two)),
        ("moved", scaled(three)),
        ("difference before", difference(one, two) / 2 + 0.5),
        ("difference after", difference(three, two) / 2 + 0.5),
        ("checkerboard", checkerboard(scaled(three), scaled(two))),
    ]
    return [(name, grey(values)) for name, values in panels]


def outline_panels(
    image: NDArray[np.float32],
    truth: NDArray[np.integer[Any]],
    prediction: NDArray[np.integer[Any]],
    colours: NDArray[np.uint8],
) -> Panels:
    """Six panels of an (X, Y, Z) volume: the true outlines, then the predicted, in the three planes that cross in
    the middle of the true structures."""
    inside = np.argwhere(truth > 0)
    middle = np.rint(inside.mean(axis=0)).astype(int) if len(inside) else np.array(image.shape) // 2
    panels = []
    for word, labels in (("truth", truth), ("prediction", prediction)):
        for axis, plane in enumerate(PLANES):
            picture = grey(scaled(upright(image.astype(np.float64), axis, middle[axis])))
            panels.append((f"{word}, {plane}", outlined(picture, upright(labels, axis, middle[axis]), colours)))
    return panels


def plain_panels(pictures: Mapping[str, NDArray[np.floating[Any]]]) -> Panels:
    """A panel each of (H, W) images and of the middle slices of (X, Y, Z) volumes, from black to white.

    Raises StudyError for anything else.
    """
    for name, values in pictures.items():
        if values.ndim not in (2, 3) or not values.size:
            raise StudyError(f"the task's panel {name!r} must be (H, W) or (X, Y, Z); it is {values.shape}.")
    known = {name: np.nan_to_num(values.astype(np.float64)) for name, values in pictures.items()}
    return [(name, grey(scaled(upright(values)))) for name, values in known.items()]


def upright(values: NDArray[Any], axis: int = 2, index: int | None = None) -> NDArray[Any]:
    """A slice of an (X, Y, Z) volume across `axis`, the middle one unless told, top up; a 2D image as it is."""
    if values.ndim == 2:
        return values
    plane = np.take(values, values.shape[axis] // 2 if index is None else index, axis=axis)
    return np.rot90(plane)


def grey(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W, 3) of values in [0, 1], enlarged to about SIDE pixels."""
    pixels = np.repeat(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)
    factor = _factor(pixels.shape)
    smooth = Image.fromarray(pixels).resize(
        (pixels.shape[1] * factor, pixels.shape[0] * factor), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth)


def outlined(
    picture: NDArray[np.uint8], labels: NDArray[np.integer[Any]], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The enlarged picture with a line of two pixels inside each label's border."""
    factor = _factor(labels.shape)
    large = np.kron(labels, np.ones((factor, factor), labels.dtype))
    padded = np.pad(large, 2, mode="edge")
    rows, columns = large.shape
    inner = np.ones(large.shape, bool)
    for down, right in ((0, 2), (4, 2), (2, 0), (2, 4)):
        inner &= padded[down : down + rows, right : right + columns] == large
    line = (large > 0) & ~inner
    index = 1 + (large.astype(np.int64) - 1) % (len(colours) - 1)
    return np.where(line[..., None], colours[index], picture).astype(np.uint8)


def _factor(shape: tuple[int, ...]) -> int:
    return max(1, SIDE // max(shape[:2]))
