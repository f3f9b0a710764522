"""A volume as cases: resampled, scaled, in slices or whole, cropped or filled; and what that cut from its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from client.sources._nifti_volume import Volume
from client.sources._volume_fitting import first_voxel, fitted
from client.sources._volume_intensity import Normalisation, normalised, outside_value, windowed
from client.sources._volume_sampling import Interpolation, LabelInterpolation, resampled

Counted = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Prepared:
    """n cases of one volume.

    inputs: (n, channels, ...) float32. targets: (n, ...) uint8. spacing_mm: (D,), to 0.1 um. affines: (n, 4, 4) voxel
    to world in mm; of a slice as of a volume of one slice, its cut axis in place. removed, unsampled: (n, classes)
    int64, of each class but background (0) the voxels of the truth that were cut off or vanished, and those in
    slices that were not drawn; what is of the volume as a whole is counted at its first case.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.uint8]
    spacing_mm: tuple[float, ...]
    affines: NDArray[np.float64]
    removed: Counted
    unsampled: Counted


@dataclass(frozen=True)
class Preparation:
    """The options of a source of volumes, as its docstring has them; sides: () for each volume's own."""

    sides: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    interpolation: Interpolation
    label_interpolation: LabelInterpolation
    window: tuple[float, ...]
    normalisation: Normalisation
    axis: int | None
    slices_per_patient: int
    classes: int

    def prepared(self, volume: Volume) -> Prepared:
        """Cases of a volume, by it and the options alone. Raises SourceError where it cannot be resampled."""
        vanished = np.zeros(self.classes, np.int64)
        if self.spacing_mm:
            volume, vanished = resampled(volume, self.spacing_mm, self.interpolation, self.label_interpolation)
        channels = [
            normalised(windowed(channel, self.window), self.normalisation, self.window) for channel in volume.channels
        ]
        kept = np.array([0]) if self.axis is None else self._kept(np.moveaxis(volume.labels, self.axis, 0))
        labels = self._cut(volume.labels, kept)
        targets = fitted(labels, self.sides, np.uint8(0))
        removed: Counted = np.subtract(self._counts(labels), self._counts(targets))
        removed[0] += vanished + volume.hidden
        unsampled = np.zeros_like(removed)
        unsampled[0] = self._counts(volume.labels[None])[0] - self._counts(labels).sum(0)
        return Prepared(
            np.stack([self._fitted(self._cut(channel, kept)) for channel in channels], axis=1),
            targets,
            tuple(round(mm, 4) for axis, mm in enumerate(volume.spacing_mm) if axis != self.axis),
            self._affines(volume, kept),
            removed,
            unsampled,
        )

    def _cut(self, values: NDArray[T], kept: NDArray[np.int64]) -> NDArray[T]:
        return values[None] if self.axis is None else np.moveaxis(values, self.axis, 0)[kept]

    def _fitted(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return fitted(images, self.sides, outside_value(images, self.normalisation))

    def _counts(self, labels: NDArray[np.uint8]) -> Counted:
        """(n, classes) voxels of every class, 0 of background."""
        counts = np.stack([np.bincount(each.ravel(), minlength=self.classes) for each in labels])
        counts[:, 0] = 0
        return counts

    def _kept(self, labels: NDArray[np.uint8]) -> NDArray[np.int64]:
        if self.slices_per_patient == 0:
            return np.arange(len(labels))
        outlined = np.flatnonzero(labels.any(axis=(1, 2)))
        among = outlined if len(outlined) else np.arange(len(labels))
        places = np.linspace(0, len(among) - 1, min(self.slices_per_patient, len(among)))
        return np.unique(among[places.round().astype(int)])

    def _affines(self, volume: Volume, kept: NDArray[np.int64]) -> NDArray[np.float64]:
        axes = [axis for axis in range(3) if axis != self.axis]
        moves = np.tile(np.eye(4), (len(kept), 1, 1))
        moves[:, axes, 3] = first_voxel(tuple(volume.labels.shape[axis] for axis in axes), self.sides)
        if self.axis is not None:
            moves[:, self.axis, 3] = kept
        return np.asarray(volume.affine @ moves, np.float64)
