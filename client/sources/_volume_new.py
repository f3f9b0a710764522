"""New volumes without labels: every slice of them, prepared as in training, and answers back on their lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from client.new_cases import NewCase, Numbers
from client.sources._nifti_volume import Turn, Volume
from client.sources._volume_fitting import unfitted
from client.sources._volume_preparation import Preparation
from client.sources._volume_sampling import Lattice, lattice_of
from common.data.nifti_files import write_beside, write_nifti
from common.errors import SourceError

SCANNER = 1
"""NIfTI's code of a place that is the scanner's own."""
DESCRIPTION = "wardround: predicted"


@dataclass(frozen=True, eq=False)
class Lying:
    """Where a scan lies. original: its NIfTI file, whose header is taken over; None where it came as DICOM.

    turn: of its axes, as stored, towards right, front and top. affine: (4, 4), of the stored axes, RAS in mm.
    """

    turn: Turn
    affine: NDArray[np.float64]
    original: Path | None = None

    def write(self, values: NDArray[Any], path: Path) -> None:
        """A NIfTI file of values whose first axes are the scan's."""
        if self.original is not None:
            write_beside(values, self.original, path, DESCRIPTION)
            return
        image: Any = nib.Nifti1Image(values, self.affine, dtype=values.dtype)  # type: ignore[no-untyped-call]
        image.set_sform(self.affine, SCANNER)
        image.set_qform(self.affine, SCANNER)
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = DESCRIPTION
        write_nifti(image, path)


@dataclass(frozen=True, eq=False)
class VolumePlace:
    """The way back of `Preparation.prepared`: out of the frame, to the old spacing, to the file's own axes.

    shape: of the volume before it was cut and fitted, to `fitted_sides` (() where it was not). lattice: of its new
    spacing, None where that was its own. values: of each class in a file of labels.
    """

    lying: Lying
    shape: tuple[int, ...]
    axis: int | None
    lattice: Lattice | None
    fitted_sides: tuple[int, ...]
    values: tuple[int, ...]
    ending: str = ".nii.gz"
    probabilities_ending: str = ".nii.gz"

    @property
    def is_exact(self) -> bool:
        """Whether spacing was left as it is."""
        return self.lattice is None

    @property
    def voxel_mm3(self) -> float:
        """The volume that three axes span."""
        return float(abs(np.linalg.det(self.lying.affine[:3, :3])))

    def back(self, values: Numbers) -> Numbers:
        """Linear where the spacing was changed."""
        whole = self._whole(values)
        return self.lying.turn.back(whole if self.lattice is None else self.lattice.sampled_back(whole, 1))

    def seen(self) -> NDArray[np.bool_]:
        """By the nearest voxel, where the spacing was changed."""
        count = 1 if self.axis is None else self.shape[self.axis]
        whole = self._whole(np.ones((count, *(self.fitted_sides or self.sides)), np.float32))
        if self.lattice is not None:
            whole = self.lattice.sampled_back(whole, 0)
        return self.lying.turn.back(whole > 0.5)

    def write_labels(self, classes: NDArray[np.integer], path: Path) -> tuple[int | str, ...]:
        """In the smallest whole numbers that hold the values."""
        table = np.array(self.values, _smallest(self.values))
        self.lying.write(table[classes], path)
        return self.values

    def write_probabilities(self, values: Numbers, path: Path) -> None:
        """(X, Y, Z, classes) float32; of an image of two axes (X, Y, 1, classes)."""
        shape = (*self.lying.turn.shape, 1)[:3] if len(self.lying.turn.shape) < 3 else self.lying.turn.shape
        self.lying.write(values.reshape(*shape, values.shape[-1]), path)

    @property
    def sides(self) -> tuple[int, ...]:
        """Of a case before it was fitted."""
        return tuple(length for axis, length in enumerate(self.shape) if axis != self.axis)

    def _whole(self, values: Numbers) -> Numbers:
        cut = unfitted(values, self.sides, np.float32(0))
        return cut[0] if self.axis is None else np.moveaxis(cut, 0, self.axis)


def new_case(
    name: str,
    volume: Volume,
    lying: Lying,
    preparation: Preparation,
    label_values: Sequence[int],
    remarks: tuple[str, ...] = (),
) -> NewCase:
    """All of a volume as one case, or, where the network sees slices, every slice of it in order.

    Raises SourceError where it cannot be resampled.
    """
    whole = replace(preparation, slices_per_patient=0)
    prepared = whole.prepared(volume)
    lattice = lattice_of(volume, preparation.spacing_mm)
    shape = volume.labels.shape if lattice is None else lattice.shape
    values = tuple(label_values) or tuple(range(preparation.classes))
    place = VolumePlace(lying, shape, preparation.axis, lattice, preparation.sides, values)
    count = len(prepared.inputs)
    parts = tuple(f"slice {index + 1}" for index in range(count)) if preparation.axis is not None else ()
    return NewCase(name, prepared.inputs, parts, place, remarks=(*remarks, *_cut_away(place, preparation)))


def _cut_away(place: VolumePlace, preparation: Preparation) -> tuple[str, ...]:
    if not preparation.sides or all(a <= b for a, b in zip(place.sides, preparation.sides, strict=True)):
        return ()
    return (
        f"the network sees {_spelled(preparation.sides)} of {_spelled(place.sides)} voxels about the middle "
        "(source.size): what lies beyond is background in its outline",
    )


def _spelled(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))


def _smallest(values: Sequence[int]) -> Any:
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        if min(values) >= np.iinfo(kind).min and max(values) <= np.iinfo(kind).max:
            return kind
    raise SourceError(f"source.label_values go to {max(values)}, which no file of labels is written with")
