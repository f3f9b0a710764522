"""Volumes on another spacing: the same place in the world, divided into other voxels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.sources._nifti_volume import MOST_VOXELS, Volume
from common.errors import SourceError

Order = Literal[0, 1, 3]
Interpolation = Literal["linear", "cubic"]
LabelInterpolation = Literal["linear", "nearest"]
Numbers = NDArray[np.float64]
ORDER: Mapping[Interpolation, Order] = {"linear": 1, "cubic": 3}
SAME = 1e-6
"""A spacing that differs by no more than this share of it is the same."""


class Lattice:
    """The lattice of another spacing about the same centre: voxel j of it is at `scale * j + start` of the old one.

    Each axis has as many voxels as come nearest to its length, at least one. Raises SourceError where those would be
    too many.
    """

    def __init__(self, shape: tuple[int, ...], old_mm: tuple[float, ...], new_mm: tuple[float, ...]) -> None:
        self.scale = np.array(new_mm) / np.array(old_mm)
        sizes = np.maximum(1, np.floor(np.array(shape) / self.scale + 0.5))
        if prod(map(float, sizes)) > MOST_VOXELS:
            raise SourceError(f"a spacing of {new_mm} mm makes {prod(map(float, sizes)):.0f} voxels of {shape}")
        self.old_shape = shape
        self.shape = tuple(map(int, sizes))
        self.start = (np.array(shape) - 1) / 2 - self.scale * (sizes - 1) / 2

    def affine(self, old: Numbers) -> Numbers:
        """(4, 4) voxel to world."""
        change = np.diag([*self.scale, 1.0])
        change[:3, 3] = self.start
        return np.asarray(old @ change, np.float64)

    def sampled(self, values: NDArray[np.float32], order: Order) -> NDArray[np.float32]:
        """Values by splines of `order`; beyond the outermost voxels' centres those of the nearest."""
        sampled: NDArray[np.float32] = ndimage.affine_transform(
            values, self.scale, self.start, self.shape, output=np.float32, order=order, mode="nearest"
        )
        return sampled

    def sampled_back(self, values: NDArray[np.float32], order: Order) -> NDArray[np.float32]:
        """Values of this lattice on the old one."""
        sampled: NDArray[np.float32] = ndimage.affine_transform(
            values,
            1 / self.scale,
            -self.start / self.scale,
            self.old_shape,
            output=np.float32,
            order=order,
            mode="nearest",
        )
        return sampled


def lattice_of(volume: Volume, spacing_mm: tuple[float, ...]) -> Lattice | None:
    """To which a volume is brought; None where it has that spacing, or none is wanted."""
    if not spacing_mm or np.allclose(volume.spacing_mm, spacing_mm, rtol=SAME, atol=0):
        return None
    return Lattice(volume.labels.shape, volume.spacing_mm, spacing_mm)


def resampled(
    volume: Volume, spacing_mm: tuple[float, ...], images: Interpolation, labels: LabelInterpolation
) -> tuple[Volume, NDArray[np.int64]]:
    """The volume at another spacing, and what of its classes vanished by that, in voxels of the new spacing.

    Labels, "linear": of each class its share at every new voxel, linear in each axis, and the class of the largest
    share (the first of equals). "nearest": the class of the nearest voxel.
    """
    none = np.zeros(len(volume.hidden), np.int64)
    lattice = lattice_of(volume, spacing_mm)
    if lattice is None:
        return volume, none
    channels = tuple(lattice.sampled(channel, ORDER[images]) for channel in volume.channels)
    outlined = _labels(volume.labels, lattice, labels)
    vanished = vanished_voxels(volume.labels, outlined, lattice, len(none))
    hidden = np.rint(volume.hidden / prod(lattice.scale)).astype(np.int64)
    return Volume(channels, outlined, lattice.affine(volume.affine), hidden), vanished


def _labels(labels: NDArray[np.uint8], lattice: Lattice, how: LabelInterpolation) -> NDArray[np.uint8]:
    if how == "nearest":
        return np.asarray(lattice.sampled(labels.astype(np.float32), 0), np.float32).astype(np.uint8)
    best = np.zeros(lattice.shape, np.float32)
    chosen = np.zeros(lattice.shape, np.uint8)
    for label in np.unique(labels).tolist():
        share = lattice.sampled((labels == label).astype(np.float32), 1)
        larger = share > best
        chosen[larger], best[larger] = label, share[larger]
    return chosen


def vanished_voxels(
    old: NDArray[np.uint8], new: NDArray[np.uint8], lattice: Lattice, classes: int
) -> NDArray[np.int64]:
    """(classes,) of each class but the first the size of its pieces of which no voxel is left, in new voxels.

    A piece hangs together over faces, edges and corners. It is left where its class is found in the new voxels
    within one old voxel of the box around it. Each that is not counts for one voxel at the least.
    """
    vanished = np.zeros(classes, np.int64)
    for label in range(1, classes):
        pieces, count = ndimage.label(old == label, np.ones((3, 3, 3), np.int8))
        if not count:
            continue
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        for box, size in zip(_boxes(pieces, lattice), sizes.tolist(), strict=True):
            if not (new[box] == label).any():
                vanished[label] += max(1, round(size / prod(lattice.scale)))
    return vanished


def _boxes(pieces: NDArray[np.integer], lattice: Lattice) -> Iterator[tuple[slice, ...]]:
    """Around every piece, grown by an old voxel, in voxels of the new lattice."""
    for box in ndimage.find_objects(pieces):
        low = np.ceil((np.array([part.start - 1 for part in box]) - lattice.start) / lattice.scale)
        high = np.floor((np.array([part.stop for part in box]) - lattice.start) / lattice.scale)
        yield tuple(slice(max(0, int(a)), max(0, int(b) + 1)) for a, b in zip(low, high, strict=True))
