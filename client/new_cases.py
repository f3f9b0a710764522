"""Somebody's new data, without labels: prepared as a study's source prepares its cases, and the way back.

A source that can do so has `new_kinds` and `new_cases` beside `cases`, and prepares with the very functions that its
cases pass through, so that what a trained network is shown later cannot drift from what it learned on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Quarantined, Shape

Kind = Literal["nifti", "dicom", "image", "table", "npz"]
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class NewFile:
    """paths: one file; one a channel, where a case has several; of kind "dicom" one folder. name: of its results."""

    kind: Kind
    paths: tuple[Path, ...]
    name: str


@dataclass(frozen=True)
class Learned:
    """What a network learned on, as the hospitals said. columns: see `columns_digest`; "" where it is not known."""

    shape: Shape
    classes: tuple[str, ...]
    columns: str = ""


class Place(Protocol):
    """Where a case lies in the file that it came from, and how an answer voxel by voxel gets there."""

    @property
    def ending(self) -> str:
        """Of a file of labels there: ".nii.gz", ".png"."""
        ...

    @property
    def probabilities_ending(self) -> str:
        """Of a file of probabilities."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether every voxel of the file that the network saw has one of its own, and nothing is interpolated."""
        ...

    @property
    def voxel_mm3(self) -> float | None:
        """Of the file; in 2D mm2; None where it is not known."""
        ...

    def seen(self) -> NDArray[np.bool_]:
        """On the lattice of the file: what the network was shown. The rest was cropped away, or not read."""
        ...

    def back(self, values: Numbers) -> Numbers:
        """(n, *S) numbers of one class, as the network gave them, on the file's lattice; 0 where it saw nothing."""
        ...

    def write_labels(self, classes: NDArray[np.integer], path: Path) -> tuple[int | str, ...]:
        """A file of class indices on the lattice, in the values that a study's own labels have: of each class."""
        ...

    def write_probabilities(self, values: Numbers, path: Path) -> None:
        """(*S, classes) float32 on the lattice of the file."""
        ...


class Laid(Protocol):
    """A pair of images of which one is laid on the other, and what a displacement makes of it."""

    def write_moved(self, displacement_voxels: Numbers, path: Path) -> None:
        """The moving image on the lattice of the fixed file. displacement_voxels: (D, *S), as the network answers."""
        ...

    def write_field(self, displacement_voxels: Numbers, path: Path) -> None:
        """Vectors in mm from points of the fixed image to points of the moving one."""
        ...


@dataclass(frozen=True)
class NewCase:
    """What the network is shown of one person's file.

    inputs: (n, ...) float32; several of a volume in slices, of a table's rows, of an array. parts: their n names, ()
    where they are one thing. place: None where an answer has no place: of a table, and of arrays. pair: of two
    images. left_out: parts of the file that cannot be used. remarks: what somebody should know of it, in sentences.
    """

    name: str
    inputs: Numbers
    parts: tuple[str, ...] = ()
    place: Place | None = None
    pair: Laid | None = None
    left_out: tuple[Quarantined, ...] = ()
    remarks: tuple[str, ...] = ()


class PreparesNew(Protocol):
    """What a source offers beside `cases` where a network that learned from it can be used on new files."""

    new_kinds: ClassVar[tuple[Kind, ...]]

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase | Quarantined]:
        """Cases of one file, one at a time. Raises SourceError where the file cannot be used at all."""
        ...


def columns_digest(names: tuple[str, ...]) -> str:
    """SHA-256 of the names of the inputs' columns, in order, as hospitals tell it."""
    return sha256("\x1f".join(names).encode()).hexdigest()
