"""Where a view looks: a crop brought to a size, of another aspect, mirrored and turned, in one interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from common.errors import StudyError
from common.registration.learned.spatial_transformer import gathered
from common.selfsupervision.pipeline import Chances
from common.study.checks import between

Numbers = NDArray[np.float64]
SMALLEST = 1e-3
MOST_ASPECT = 10.0


@dataclass(frozen=True)
class Crop:
    """smallest_crop, largest_crop: least and greatest share of an image's area or volume that a view shows. aspect:
    by which factor a crop's sides may differ, beside the image's own; 1 for none. mirrored: spatial axes along which
    half of the views are reversed, -1 for the last. rotation_degrees: at most, about each axis, of square pixels.
    """

    smallest_crop: float = 1.0
    largest_crop: float = 1.0
    aspect: float = 1.0
    mirrored: tuple[int, ...] = ()
    rotation_degrees: float = 0.0

    def __post_init__(self) -> None:
        place = "augmentation"
        between(place, SMALLEST, 1.0, smallest_crop=self.smallest_crop, largest_crop=self.largest_crop)
        if self.smallest_crop > self.largest_crop:
            raise StudyError(
                f"{place}.smallest_crop must be at most largest_crop, {self.largest_crop}; "
                f"it is {self.smallest_crop}."
            )
        between(place, 1.0, MOST_ASPECT, aspect=self.aspect)
        between(place, 0.0, 180.0, rotation_degrees=self.rotation_degrees)
        between(place, -3, 2, **{f"mirrored[{index}]": axis for index, axis in enumerate(self.mirrored)})

    def chances(self, axes: int) -> int:
        """The share; of each axis its side, its centre and whether it is mirrored; the angles."""
        return 1 + 3 * axes + _angles(axes)

    def numbers(self, axes: int) -> int:
        """An affine map of places in the view to places in the image, both from -1 to 1."""
        return axes * (axes + 1)

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> Numbers:
        """(N, axes * (axes + 1)) rows of the maps, the last axis first, as torch has them."""
        axes, count = len(shape) - 1, len(chances)
        share, side, place, mirror, angles = np.split(chances, np.cumsum([1, axes, axes, axes]), axis=1)
        sides = self._sides(share, side)
        centres = (2 * place - 1) * (1 - sides)
        reversed_ = (mirror < 0.5) & self._may_be_mirrored(axes)
        turned = _in_shape(_turns((2 * angles - 1) * self.rotation_degrees * pi / 180, axes), shape[1:])
        maps = turned * np.where(reversed_, -sides, sides)[:, None, :]
        rows = np.concatenate([maps, centres[:, :, None]], axis=2)[:, ::-1, [*range(axes - 1, -1, -1), axes]]
        return rows.reshape(count, self.numbers(axes))

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Of the images' own size."""
        return self.resized(images, drawn, tuple(images.shape[2:]))

    def resized(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        """(N, C, *size), linearly interpolated; beyond an image its edge goes on. Nothing is smoothed before: a view
        whose pixels are more than twice as wide as the image's misses some of them.
        """
        if self == Crop() and size == tuple(images.shape[2:]):
            return images
        axes = images.ndim - 2
        maps = drawn.to(images.dtype).reshape(-1, axes, axes + 1)
        if axes == 1:  # torch samples planes and volumes alone
            return _sampled(images[:, :, None], _in_a_plane(maps), (1, *size))[:, :, 0]
        return _sampled(images, maps, size)

    def _sides(self, share: Numbers, side: Numbers) -> Numbers:
        """(N, axes) shares of the image's sides, whose product is the drawn share, none above 1."""
        whole: Numbers = self.smallest_crop + (self.largest_crop - self.smallest_crop) * share
        longer = log(self.aspect) / 2 * (2 * side - 1)
        longer = longer - longer.mean(axis=1, keepdims=True)
        mean = np.log(whole) / side.shape[1]
        most = np.maximum(longer.max(axis=1, keepdims=True), 1e-12)
        return np.asarray(np.exp(mean + longer * np.minimum(1.0, -mean / most)))

    def _may_be_mirrored(self, axes: int) -> NDArray[np.bool_]:
        found = np.zeros(axes, bool)
        for axis in self.mirrored:
            if not -axes <= axis < axes:
                raise StudyError(
                    f"augmentation.mirrored names axis {axis}, and an image has {axes}: -{axes} to {axes - 1}."
                )
            found[axis] = True
        return found


def _angles(axes: int) -> int:
    return axes * (axes - 1) // 2


def _turns(angles: Numbers, axes: int) -> Numbers:
    """(N, axes, axes) rotations, one plane after another."""
    turn = np.tile(np.eye(axes), (len(angles), 1, 1))
    planes = [(first, second) for first in range(axes) for second in range(first + 1, axes)]
    for angle, (first, second) in zip(angles.T, planes, strict=True):
        one = np.tile(np.eye(axes), (len(angles), 1, 1))
        one[:, first, first] = one[:, second, second] = np.cos(angle)
        one[:, first, second], one[:, second, first] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    return turn


def _in_shape(turns: Numbers, sides: tuple[int, ...]) -> Numbers:
    """Rotations of pixels, as maps of coordinates that go from -1 to 1 along each axis."""
    lengths = np.array(sides, np.float64)
    return np.asarray(turns * lengths[None, None, :] / lengths[None, :, None])


def _in_a_plane(maps: Tensor) -> Tensor:
    """(N, 1, 2) maps of a line, as those of a plane of one row."""
    scale, centre = maps[:, 0, 0], maps[:, 0, 1]
    none, one = torch.zeros_like(scale), torch.ones_like(scale)
    return torch.stack([torch.stack([scale, none, centre], 1), torch.stack([none, one, none], 1)], 1)


def _sampled(images: Tensor, maps: Tensor, size: tuple[int, ...]) -> Tensor:
    grid = (_places(size).to(maps.dtype).to(maps.device) @ maps.transpose(1, 2)).reshape(-1, *size, len(size))
    if images.requires_grad and images.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        sides = grid.new_tensor(images.shape[2:])
        return gathered(images, (((grid.flip(-1) + 1) * sides - 1) / 2).movedim(-1, 1), "border")
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


@lru_cache(maxsize=8)
def _places(size: tuple[int, ...]) -> Tensor:
    """(pixels, axes + 1) float64 middles of a view's pixels, -1 to 1 at its edges, the last axis first; and 1."""
    along = [(2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1 for side in size]
    middles = torch.stack(torch.meshgrid(*along, indexing="ij")[::-1], dim=-1).reshape(-1, len(size))
    return torch.cat([middles, torch.ones(len(middles), 1, dtype=torch.float64)], dim=1)


def side_of(sides: tuple[int, ...], share: float) -> tuple[int, ...]:
    """The size of a crop whose sides are this share of an image's, at least one pixel each."""
    return tuple(max(1, round(share * side)) for side in sides)
