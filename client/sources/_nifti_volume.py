"""A scan as arrays in one orientation (RAS): its channels and its labels, checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeVar

import nibabel as nib
import numpy as np
from nibabel.orientations import OrientationError
from numpy.typing import NDArray

from common.data.nifti_files import UNREADABLE, read_nifti
from common.errors import FileError, SourceError

AFFINE_TOLERANCE_MM = 1e-3
WHOLE_TOLERANCE = 1e-3
"""What slopes and floating-point numbers may move a label by."""
LARGEST_SHEAR = 1e-3
"""The largest cosine between two axes that are taken to stand at right angles."""
SMALLEST_SPACING_MM, LARGEST_SPACING_MM = 1e-4, 1e4
MOST_VOXELS = 1 << 28
NotFinite = Literal["refuse", "least"]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Volume:
    """channels: (X, Y, Z) float32 each; labels: the same shape, uint8; axes towards right, front and top.

    affine: (4, 4) float64, voxel to world in mm. hidden: (classes,) voxels of each class that another class's file
    claims too.
    """

    channels: tuple[NDArray[np.float32], ...]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    hidden: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def image(self) -> NDArray[np.float32]:
        """The first channel."""
        return self.channels[0]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along each axis."""
        x, y, z = map(float, np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z


@dataclass(frozen=True)
class Reading:
    """How files are read. classes: how many. values: what stands for each class in one file of all classes; others
    are background; () for 0, 1, 2, ... and nothing else. one_a_class: each file of labels is a class, and whatever
    is above zero in it belongs to it. channels_a_file: along a fourth axis. not_finite: what becomes of NaN and
    infinite voxels: "refuse" puts the case aside, "least" gives them the least finite value of their channel.
    """

    classes: int
    values: tuple[int, ...] = ()
    one_a_class: bool = False
    channels_a_file: int = 1
    not_finite: NotFinite = "refuse"


def read_scan(images: Sequence[Path], labels: Sequence[Path], reading: Reading) -> Volume:
    """All files of a scan, in the place of the first. Without labels all is class 0.

    Raises SourceError that names the file and the failed check, never a value of an image.
    """
    return read_turned_scan(images, labels, reading)[0]


def read_turned_scan(images: Sequence[Path], labels: Sequence[Path], reading: Reading) -> tuple[Volume, Turn]:
    """The same, and how the first file's axes were turned for it."""
    first = _canonical(images[0])
    channels = _channels(first, reading)
    for path in images[1:]:
        file = _canonical(path)
        _demand_same_place(file, first)
        channels += _channels(file, reading)
    maps = [_labels_on(path, first) for path in labels]
    outlined, hidden = _combined(maps, labels, channels[0].shape, reading)
    return Volume(tuple(channels), outlined, first.affine, hidden), first.turn


@dataclass(frozen=True, eq=False)
class Turn:
    """From a file's three axes to right, front and top. shape: of those axes, as stored; two of an image that is one
    slice. to_ras: nibabel's orientation, (3, 2): of each stored axis which one it becomes, and whether it is flipped.
    """

    shape: tuple[int, ...]
    to_ras: NDArray[np.float64]

    def back(self, values: NDArray[T]) -> NDArray[T]:
        """Values on the axes of the file, of those towards right, front and top. None is interpolated."""
        orientations: Any = nib.orientations
        turn = orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], self.to_ras)
        return np.ascontiguousarray(orientations.apply_orientation(values, turn)).reshape(self.shape)


@dataclass(frozen=True)
class _File:
    """A file's image, its axes towards right, front and top. is_placeless: whether its header says where it lies."""

    path: Path
    image: Any
    is_placeless: bool
    turn: Turn

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.image.shape))

    @property
    def affine(self) -> NDArray[np.float64]:
        return np.asarray(self.image.affine, np.float64)


def _labels_on(path: Path, first: _File) -> NDArray[np.float64]:
    file = _canonical(path)
    _demand_same_place(file, first)
    if len(file.shape) != 3:
        raise SourceError(f"{_named(path)} holds {file.shape[3]} maps of labels; one is needed in a file")
    return _finite(_values(file), path, "refuse")


def _canonical(path: Path) -> _File:
    """The image with its axes towards right, front and top, of three axes, or four where it has several channels."""
    if not path.is_file():
        raise SourceError(f"there is no {_named(path)}")
    try:
        image = read_nifti(path, MOST_VOXELS)
        stored = tuple(map(int, image.shape))
        shape = _shape(stored, path)
        is_placeless = not image.header["qform_code"] and not image.header["sform_code"]
        affine = _with_thickness(np.array(image.affine, np.float64), shape)
        _demand_affine(affine, path)
        if shape != image.shape or not np.array_equal(affine, image.affine):
            image = type(image)(np.asanyarray(image.dataobj).reshape(shape), affine, image.header)
        turned: Any = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
        to_ras: Any = nib.io_orientation(affine)  # type: ignore[no-untyped-call]
        return _File(path, turned, is_placeless, Turn(stored[:3], np.asarray(to_ras, np.float64)))
    except FileError as error:
        raise SourceError(f"{_named(path)} {error.reason}") from error
    except (*UNREADABLE, OrientationError) as error:
        raise SourceError(f"{_named(path)} is not a readable NIfTI file") from error


def _shape(shape: tuple[int, ...], path: Path) -> tuple[int, ...]:
    """Without axes of 1 after the third; an image of two axes is one slice."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    shape = (*shape, 1) if len(shape) == 2 else shape
    if len(shape) not in (3, 4):
        raise SourceError(f"{_named(path)} must have three axes, or a fourth of channels; its shape is {shape}")
    if not 0 < prod(shape) <= MOST_VOXELS:
        raise SourceError(f"{_named(path)} must have from 1 to {MOST_VOXELS} voxels; its shape is {shape}")
    return shape


def _with_thickness(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The affine, where a lone slice is 0 mm thick, with 1 mm across the slice: nobody measured what has no other."""
    thin = [axis for axis in range(3) if shape[axis] == 1 and not affine[:3, axis].any()]
    if len(thin) == 1:
        one, other = (affine[:3, axis] for axis in range(3) if axis not in thin)
        normal = np.cross(one, other)
        length = float(np.linalg.norm(normal))
        affine[:3, thin[0]] = normal / length if length > 0 else 0.0
    return affine


def _demand_affine(affine: NDArray[np.float64], path: Path) -> None:
    """Raise SourceError, naming what is wrong, unless the affine is a spacing, a rotation and a place."""
    if not np.isfinite(affine).all():
        raise SourceError(f"the header of {_named(path)} says where it lies in numbers that are not finite")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if not ((spacing_mm >= SMALLEST_SPACING_MM) & (spacing_mm <= LARGEST_SPACING_MM)).all():
        raise SourceError(
            f"the header of {_named(path)} gives a spacing of {' x '.join(f'{mm:g}' for mm in spacing_mm)} mm"
        )
    axes = affine[:3, :3] / spacing_mm
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > LARGEST_SHEAR:
        degrees = np.degrees(np.arccos(min(float(cosines.max()), 1.0)))
        raise SourceError(
            f"the axes of {_named(path)} are sheared: two stand at {degrees:.1f} degrees, not 90. Resample it to a "
            "lattice of right angles first"
        )


def _demand_same_place(file: _File, first: _File) -> None:
    names = f"{_named(first.path)} and {_named(file.path)}"
    if file.shape[:3] != first.shape[:3]:
        raise SourceError(f"{names} differ in shape: {first.shape[:3]} and {file.shape[:3]}")
    if not np.allclose(file.affine, first.affine, atol=AFFINE_TOLERANCE_MM):
        placeless = [_named(one.path) for one in (file, first) if one.is_placeless]
        why = f"; {placeless[0]} says nowhere where it lies (its codes of qform and sform are 0)" if placeless else ""
        raise SourceError(f"{names} lie in different places (their affines differ{why})")


def _channels(file: _File, reading: Reading) -> list[NDArray[np.float32]]:
    path, count = file.path, file.shape[3] if len(file.shape) == 4 else 1
    if count != reading.channels_a_file:
        raise SourceError(
            f"{_named(path)} holds {count} volumes along its fourth axis; source.channels_a_file says "
            f"{reading.channels_a_file}"
        )
    values = _finite(_values(file), path, reading.not_finite).astype(np.float32)
    if not np.isfinite(values).all():
        raise SourceError(f"{_named(path)} holds values beyond what float32 can hold")
    return [values] if values.ndim == 3 else [values[..., channel] for channel in range(count)]


def _combined(
    maps: Sequence[NDArray[np.float64]], paths: Sequence[Path], shape: tuple[int, ...], reading: Reading
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One map of class indices, and the voxels of each class that a later class's file took."""
    hidden = np.zeros(reading.classes, np.int64)
    if not maps:
        return np.zeros(shape, np.uint8), hidden
    if not reading.one_a_class:
        return _classes(maps[0], paths[0], reading), hidden
    outlined = np.zeros(shape, np.uint8)
    for label, mask in enumerate(maps, start=1):
        inside = mask > WHOLE_TOLERANCE
        taken = np.bincount(outlined[inside], minlength=reading.classes)
        taken[0] = 0
        hidden += taken
        outlined[inside] = label
    return outlined, hidden


def _classes(values: NDArray[np.float64], path: Path, reading: Reading) -> NDArray[np.uint8]:
    whole = np.rint(values)
    if np.abs(values - whole).max() > WHOLE_TOLERANCE:
        raise SourceError(f"the labels in {_named(path)} are not whole numbers")
    if reading.values:
        classes = np.zeros(values.shape, np.uint8)
        for index, value in enumerate(reading.values):
            classes[whole == value] = index
        return classes
    if not np.isin(whole, np.arange(reading.classes)).all():
        others = np.setdiff1d(whole, np.arange(reading.classes))[:5]
        raise SourceError(
            f"labels must be whole numbers from 0 to {reading.classes - 1}; {_named(path)} also holds "
            f"{', '.join(f'{value:g}' for value in others)}. source.label_values says what stands for each class"
        )
    return whole.astype(np.uint8)


def _values(file: _File) -> NDArray[np.float64]:
    path, image = file.path, file.image
    if image.get_data_dtype().kind not in "iuf":
        raise SourceError(f"{_named(path)} holds something else than whole or real numbers")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(image.dataobj, dtype=np.float64)
    except UNREADABLE as error:
        raise SourceError(f"{_named(path)} ends before its header says so") from error


def _finite(values: NDArray[np.float64], path: Path, not_finite: NotFinite) -> NDArray[np.float64]:
    fine = np.isfinite(values)
    if fine.all():
        return values
    if not_finite == "refuse" or not fine.any():
        raise SourceError(
            f"{_named(path)} holds {np.count_nonzero(~fine)} voxels that are not finite (NaN, infinite)"
        )
    return np.where(fine, values, values[fine].min())


def _named(path: Path) -> str:
    """The file as a reason names it, with its folder."""
    return f"{path.parent.name}/{path.name}"
