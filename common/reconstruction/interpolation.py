"""Bilinear and bicubic interpolation of images and volumes, axis by axis, by weights of the neighbours of a place.

Pixels are small squares: the middle of pixel i of n lies at (i + 1/2) / n of the image's width, whatever n is. Beyond
the border the nearest pixel goes on. The values are those of `torch.nn.functional.interpolate` with
align_corners=False and antialias=False, which has no bicubic for volumes; here gradients are sums of products, and so
the same from run to run on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Interpolation = Literal["bilinear", "bicubic"]
CUBIC = -0.75
"""Slope of the cubic kernel at a distance of 1 (Keys 1981, equation 15, a), as torch has it."""


def resized(images: Tensor, sides: Sequence[int], how: Interpolation = "bicubic") -> Tensor:
    """(N, C, *S) images of other sides. Enlarging is meant: where sides shrink nothing is smoothed before."""
    for axis, side in enumerate(sides, start=2):
        given = images.shape[axis]
        if side != given:
            weights = torch.from_numpy(weights_along(given, side, how).copy()).to(images)
            images = (images.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return images


@lru_cache(maxsize=64)
def weights_along(given: int, wanted: int, how: Interpolation) -> NDArray[np.float64]:
    """(wanted, given): what every pixel of a line adds to each pixel of the longer line.

    With x1 and x2 the neighbours of the place x, and alpha = (x - x1) / (x2 - x1), a bilinear value is (1 - alpha) of
    x1's and alpha of x2's, and along a second axis the same with beta. A bicubic value is of the four nearest.
    """
    places = (np.arange(wanted) + 0.5) * given / wanted - 0.5
    before = np.floor(places).astype(np.int64)
    alpha = (places - before)[:, None]
    reach = np.arange(0, 2) if how == "bilinear" else np.arange(-1, 3)
    distances = np.abs(alpha - reach)
    near = 1 - distances if how == "bilinear" else _cubic(distances)
    neighbours = (before[:, None] + reach).clip(0, given - 1)
    weights = np.zeros((wanted, given))
    np.add.at(weights, (np.arange(wanted)[:, None], neighbours), near)
    weights.setflags(write=False)
    return weights


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel (1981, equation 4), of distances up to 2."""
    inner = (CUBIC + 2) * distance**3 - (CUBIC + 3) * distance**2 + 1
    outer = CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, inner, outer)
