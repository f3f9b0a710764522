"""Pairs of NIfTI volumes of one hospital, to be laid on each other; no person is in two groups of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import Source
from client.sources._folders import existing
from client.sources._nifti_volume import Reading, Volume, read_scan, read_turned_scan
from client.sources._pairs_new import Pair
from client.sources._volume_new import Lying
from client.sources._volume_scans import Scan, Unusable
from client.sources.nifti import PERSONS, REMEDY, Nifti
from common.data.cases import Cases, Quarantined, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.seeding import generator
from common.study.checks import listed

T = TypeVar("T", bound=np.generic)
PAIRING = Pooled(
    "which persons of a hospital are laid on each other",
    "source.name = 'nifti_pairs'",
    "hide whole hospitals (privacy 'hospital'), take a source whose cases are of one person each",
)


@dataclass(frozen=True)
class NiftiPairs:
    """`images/` and `labels/` with files of the same names, and persons, as in source "nifti". A "patient" is a pair
    of persons, so that splits and partitions never part one; of an odd number the last three are taken together.

    table: as in "nifti". size: volumes are cropped, or filled with their least value, about their centre.
    Intensities are scaled to mean 0 and deviation 1 of each volume. Both directions of a pair are cases; of three,
    each is laid on the next. Who has several scans is paired with each of them in turn.

    Who is paired with whom is drawn among all persons of the hospital, so that no promise to one of them can be kept.

    folder: where the data are. classes: names of the labels, background first.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = (PAIRING,)
    new_kinds: ClassVar[tuple[Kind, ...]] = ("nifti",)
    persons: ClassVar[str] = f"{PERSONS} Two persons who are laid on each other are one patient here."

    folder: str = ""
    table: str = ""
    classes: tuple[str, ...] = ("background", "anterior", "posterior")
    size: tuple[int, ...] = (40, 56, 40)

    def __post_init__(self) -> None:
        listed("source 'nifti_pairs'", 2, 256, classes=self.classes)
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
        volumes, quarantined = self._read(site)
        if len(volumes) < 2:
            raise SourceError(f"{folder} holds fewer than two usable volumes of a hospital. {REMEDY}")
        images = {name: _fitted(_scaled(volume.image), self.size) for name, (_, volume) in volumes.items()}
        labels = {name: _fitted(volume.labels, self.size) for name, (_, volume) in volumes.items()}
        consents = {scan.name: scan.consent for scan in self._volumes().of_site(site) if isinstance(scan, Scan)}
        scans: dict[str, list[str]] = {}
        for name, (person, _) in volumes.items():
            scans.setdefault(person, []).append(name)
        if len(scans) < 2:
            raise SourceError(f"{folder} holds usable volumes of one person of a hospital; two are needed. {REMEDY}")
        groups = _groups(sorted(scans), generator(seed, "pairs", site or ""))
        pairs = [(pair, "+".join(group)) for group in groups for pair in _pairs(group, scans)]
        return Cases.of(
            np.stack([np.stack([images[a], images[b]]) for (a, b), _ in pairs]),
            np.stack([np.stack([labels[a], labels[b]]) for (a, b), _ in pairs]),
            np.array([name for _, name in pairs]),
            self.classes,
            quarantined=quarantined,
            persons=np.array(["\n".join(volumes[name][0] for name in pair) for pair, _ in pairs]),
            consent=_consent_of([pair for pair, _ in pairs], consents),
        )

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase]:
        """Two files: the moving image, then the fixed one."""
        if len(new.paths) != 2:
            raise SourceError("is one image, and two are laid on each other: name both, moving.nii.gz,fixed.nii.gz")
        (moving, _), (fixed, turn) = (read_turned_scan((path,), (), Reading(len(self.classes))) for path in new.paths)
        images = np.stack([_fitted(_scaled(volume.image), self.size) for volume in (moving, fixed)])
        pair = Pair(moving, fixed, self.size, Lying(turn, fixed.affine, new.paths[1]))
        yield NewCase(new.name, images[None], pair=pair)

    def _read(self, site: SiteId | None) -> tuple[dict[str, tuple[str, Volume]], tuple[Quarantined, ...]]:
        """Person and volume of every usable file, and the others."""
        volumes: dict[str, tuple[str, Volume]] = {}
        quarantined = []
        for scan in self._volumes().of_site(site):
            if isinstance(scan, Unusable):
                quarantined.append(scan.quarantined)
                continue
            try:
                volumes[scan.name] = scan.person, read_scan(scan.images, scan.labels, Reading(len(self.classes)))
            except SourceError as error:
                quarantined.append(Quarantined(scan.name, str(error)))
        return volumes, tuple(quarantined)

    def _volumes(self) -> Nifti:
        return Nifti(self.folder, self.table, self.classes)


def _consent_of(pairs: Sequence[tuple[str, str]], consents: Mapping[str, str | None]) -> NDArray[np.str_] | None:
    """What the table says of both persons of each pair."""
    if all(consent is None for consent in consents.values()):
        return None
    return np.array(["\n".join(consents[name] or "" for name in pair) for pair in pairs])


def _pairs(group: list[str], scans: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Files to be laid on each other: each of a person's on one of the next person's, every scan at least once."""
    pairs = []
    for person, following in zip(group, [*group[1:], group[0]], strict=True):
        moving, fixed = scans[person], scans[following]
        count = max(len(moving), len(fixed))
        pairs += [(moving[index % len(moving)], fixed[index % len(fixed)]) for index in range(count)]
    return pairs


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
