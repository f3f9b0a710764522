"""Folders of NIfTI volumes with labels, whole or in slices, and a table of the hospital each patient is from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._folders import existing, inside
from client.sources._nifti_files import NiftiFile, nifti_files, path_of
from client.sources._nifti_volume import Volume, read_volume
from client.sources._persons import person_of_file
from client.sources._site_table import Listed, listed_files
from common.cases import Cases, Quarantined, SiteId
from common.checks import between, listed, positive
from common.errors import SourceError
from common.pooled_statistics import Pooled
from common.spelling import unknown

REMEDY = (
    "Fetch the hippocampus set with `wardround data fetch hippocampus`, or name a folder: --set source.folder=..."
)
LARGEST_CUBE = 512
PERSONS = (
    "A person is who the table's column person (subject, participant_id) names, or sub- of a BIDS name; files that "
    "have neither are each taken for a person of its own."
)
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Nifti:
    """`images/` and `labels/` with files of the same names, as slices or volumes, or both with BIDS folders in them.

    table: a CSV file in the folder with the columns patient, a file's name without its ending, and site, and where
    one person has several files a column person; without it a study divides the persons. Without that column
    `sub-04` of BIDS names is a person, at all hospitals the same; else each file is one.
    axis: 0, 1 or 2, across which slices are cut, after turning to RAS; 2 gives axial slices. size: slices are
    cropped or filled (labels with class 0) around their centre to size x size. Pixel spacing is kept to 0.1 um.
    slices_per_patient: of each volume, evenly spaced among those with a label; 0 keeps every slice. Intensities are
    scaled to mean 0 and deviation 1 of each volume.
    dimensions: 2 for slices; 3 for whole volumes, one a patient, cropped or filled around their centre to a cube of
    size x size x size, axes towards right, front and top (axis and slices_per_patient are for slices alone).
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = PERSONS

    folder: str = ""
    table: str = ""
    classes: tuple[str, ...] = ("background", "anterior", "posterior")
    axis: int = 2
    size: int = 64
    slices_per_patient: int = 8
    dimensions: Literal[2, 3] = 2

    def __post_init__(self) -> None:
        between("source 'nifti'", 0, 2, axis=self.axis)
        between("source 'nifti'", 0, 10_000, slices_per_patient=self.slices_per_patient)
        listed("source 'nifti'", 2, 256, classes=self.classes)
        positive("source 'nifti'", size=self.size)
        if self.dimensions == 3:
            between("source 'nifti' with dimensions 3", 1, LARGEST_CUBE, size=self.size)

    @property
    def has_sites(self) -> bool:
        """Whether a table says which hospital a patient is from."""
        return bool(self.table)

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals of the table, sorted."""
        return tuple(sorted({one.site for one in self._table().values()})) if self.table else ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """Slices of the hospital's patients. inputs: (N, 1, size, size); targets: (N, size, size) of uint8.

        With dimensions 3, volumes: inputs (N, 1, size, size, size); targets (N, size, size, size).
        """
        folder = existing(self.folder, "hippocampus", REMEDY)
        images, labels, names, quarantined = [], [], [], []
        spacings_mm: list[tuple[float, ...]] = []
        for file in self.files(folder, site):
            try:
                volume = read_volume(file.path, labels_of(file, folder), len(self.classes))
            except SourceError as error:
                quarantined.append(Quarantined(file.name, str(error)))
                continue
            of_image, of_labels = self._slices(volume) if self.dimensions == 2 else self._cube(volume)
            images.append(of_image)
            labels.append(of_labels)
            names += [file.person] * len(of_image)
            spacings_mm += [self._spacing_mm(volume)] * len(of_image)
        if not images:
            raise SourceError(f"{folder} holds no usable volume. {REMEDY}")
        return Cases.of(
            np.concatenate(images)[:, None],
            np.concatenate(labels),
            np.array(names),
            self.classes,
            quarantined=tuple(quarantined),
            spacing_mm=np.array(spacings_mm),
        )

    def files(self, folder: Path, site: SiteId | None) -> list[NiftiFile]:
        """A hospital's files, or all, in the order of their names. Raises UnknownNameError for no hospital."""
        images = folder / "images"
        found = nifti_files(images)
        if site is None:
            return [NiftiFile(name, person_of_file(name), path) for name, path in sorted(found.items())]
        listed = self._table()
        sites = {one.site for one in listed.values()}
        if site not in sites:
            raise unknown("hospital", site, sites)
        own = sorted((name, one.person) for name, one in listed.items() if one.site == site)
        return [NiftiFile(name, person, path_of(name, found, images)) for name, person in own]

    def _table(self) -> dict[str, Listed]:
        return listed_files(inside(existing(self.folder, "hippocampus", REMEDY), self.table), "site", REMEDY)

    def _slices(self, volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image = np.moveaxis(_scaled(volume.image), self.axis, 0)
        labels = np.moveaxis(volume.labels, self.axis, 0)
        kept = self._kept(labels)
        image, labels = image[kept], labels[kept]
        return _fitted(image, self.size, image.min()), _fitted(labels, self.size, np.uint8(0))

    def _cube(self, volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image = _scaled(volume.image)
        return _fitted(image[None], self.size, image.min()), _fitted(volume.labels[None], self.size, np.uint8(0))

    def _spacing_mm(self, volume: Volume) -> tuple[float, ...]:
        cut = self.axis if self.dimensions == 2 else None
        return tuple(round(mm, 4) for axis, mm in enumerate(volume.spacing_mm) if axis != cut)

    def _kept(self, labels: NDArray[np.uint8]) -> NDArray[np.int64]:
        if self.slices_per_patient == 0:
            return np.arange(len(labels))
        outlined = np.flatnonzero(labels.any(axis=(1, 2)))
        among = outlined if len(outlined) else np.arange(len(labels))
        places = np.linspace(0, len(among) - 1, min(self.slices_per_patient, len(among)))
        return np.unique(among[places.round().astype(int)])


def labels_of(file: NiftiFile, folder: Path) -> Path:
    """Where the labels of an image are: the same path, under `labels/`."""
    return folder / "labels" / file.path.relative_to(folder / "images")


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = float(image.std(dtype=np.float64))
    return np.asarray((image - image.mean(dtype=np.float64)) / (spread if spread > 0 else 1.0), dtype=np.float32)


def _fitted(images: NDArray[T], size: int, fill: T) -> NDArray[T]:
    """(N, size, size[, size]): cropped or filled, about the centre."""
    fitted = np.full((len(images), *(size for _ in images.shape[1:])), fill, dtype=images.dtype)
    into, out_of = [slice(None)], [slice(None)]
    for length in images.shape[1:]:
        shared = min(length, size)
        start, offset = (length - shared) // 2, (size - shared) // 2
        out_of.append(slice(start, start + shared))
        into.append(slice(offset, offset + shared))
    fitted[tuple(into)] = images[tuple(out_of)]
    return fitted


source: type[Source] = Nifti
