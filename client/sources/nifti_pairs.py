"""Pairs of NIfTI volumes of one hospital, to be laid on each other; no patient is in two pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._folders import existing
from client.sources._nifti_volume import Volume, read_volume
from client.sources.nifti import REMEDY, Nifti
from common.cases import Cases, Quarantined, SiteId
from common.errors import SourceError, StudyError
from common.seeding import generator

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class NiftiPairs:
    """`images/` and `labels/` with files of the same names, as in source "nifti". A "patient" is a pair, so that
    splits and partitions never part one; of an odd number the last three are taken together.

    table: as in "nifti". size: volumes are cropped, or filled with their least value, about their centre.
    Intensities are scaled to mean 0 and deviation 1 of each volume. Both directions of a pair are cases; of three,
    each is laid on the next.
    """

    folder: str = ""
    table: str = ""
    classes: tuple[str, ...] = ("background", "anterior", "posterior")
    size: tuple[int, ...] = (40, 56, 40)

    def __post_init__(self) -> None:
        if len(self.size) != 3 or min(self.size) < 4:
            raise StudyError(f"source.size must be three numbers of voxels from 4; it is {list(self.size)}.")

    @property
    def has_sites(self) -> bool:
        """Whether a table says which hospital a patient is from."""
        return bool(self.table)

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals of the table, sorted."""
        return self._volumes().sites()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """Pairs of the hospital's patients. inputs: (N, 2, *size), moving and fixed; targets: the same, uint8."""
        folder = existing(self.folder, "hippocampus", REMEDY)
        volumes: dict[str, Volume] = {}
        quarantined = []
        for patient, path in self._volumes().patients(folder, site):
            try:
                volumes[patient] = read_volume(path, folder / "labels" / path.name, len(self.classes))
            except SourceError as error:
                quarantined.append(Quarantined(patient, str(error)))
        if len(volumes) < 2:
            raise SourceError(f"{folder} holds fewer than two usable volumes of a hospital. {REMEDY}")
        images = {patient: _fitted(_scaled(volume.image), self.size) for patient, volume in volumes.items()}
        labels = {patient: _fitted(volume.labels, self.size) for patient, volume in volumes.items()}
        groups = _groups(sorted(volumes), generator(seed, "pairs", site or ""))
        pairs = [(pair, "+".join(group)) for group in groups for pair in zip(group, _turned(group), strict=True)]
        return Cases(
            np.stack([np.stack([images[a], images[b]]) for (a, b), _ in pairs]),
            np.stack([np.stack([labels[a], labels[b]]) for (a, b), _ in pairs]),
            np.array([name for _, name in pairs]),
            self.classes,
            quarantined=tuple(quarantined),
        )

    def _volumes(self) -> Nifti:
        return Nifti(self.folder, self.table, self.classes)


def _turned(group: list[str]) -> list[str]:
    return [*group[1:], group[0]]


def _groups(patients: list[str], rng: np.random.Generator) -> list[list[str]]:
    """Every patient in one group of two, or, for one group, three."""
    shuffled = [patients[index] for index in rng.permutation(len(patients))]
    starts = range(0, len(shuffled) - len(shuffled) % 2, 2)
    groups = [sorted(shuffled[start : start + 2]) for start in starts]
    if len(shuffled) % 2:
        groups[-1] = sorted([*groups[-1], shuffled[-1]])
    return sorted(groups)


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = float(image.std(dtype=np.float64))
    return np.asarray((image - image.mean(dtype=np.float64)) / (spread if spread > 0 else 1.0), dtype=np.float32)


def _fitted(volume: NDArray[T], size: tuple[int, ...]) -> NDArray[T]:
    """Cropped, or filled with its least value, about the centre."""
    kept = tuple(
        slice((length - min(length, side)) // 2, (length - min(length, side)) // 2 + min(length, side))
        for length, side in zip(volume.shape, size, strict=True)
    )
    cropped = volume[kept]
    missing = [side - length for side, length in zip(size, cropped.shape, strict=True)]
    before_and_after = [(total // 2, total - total // 2) for total in missing]
    return np.pad(cropped, before_and_after, constant_values=cropped.min())


source: type[Source] = NiftiPairs
