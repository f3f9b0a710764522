"""Low-grade glioma on FLAIR slices, 110 patients of five institutions, with outlined abnormality."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from client.source import Source, gathered
from client.sources._folders import existing
from client.sources._npz import read_npz
from client.sources._site_table import Listed, listed_files
from common.data.cases import Cases, Quarantined, SiteId, no_truth
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.checks import one_of, positive
from common.study.spelling import unknown

REMEDY = (
    "It needs patients.csv (patient, institution) and patients_flair128/*.npz (flair and mask, slices of 128 x 128); "
    "name its folder with --set source.folder=..."
)
SIDE = 128
TOO_SMALL = ("EZ",)
"""Institutions of the published set that are left out, fixed here so that nobody's presence decides it."""
DATE = re.compile(r"_[0-9]{8}")


@dataclass(frozen=True)
class Lgg:
    """Slices of (1, size, size), each patient's intensities scaled to mean 0 and deviation 1 inside the head.

    slices: "tumour" keeps those with abnormality and as many evenly spaced others, "all" keeps every one.
    size: 128 or a divisor of it; smaller by mean of pixels, masks by majority. Institution EZ is left out: it has one
    patient. A column person of the table says whose several patients' files are.

    unlabelled: the slices alone, for a task without labels; "tumour" is told by masks, so slices must be "all".

    folder: of the data set's patients.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = (
        "A person is who the column person (subject, participant_id) of patients.csv names, or sub- of a BIDS name; "
        "else each patient of the table."
    )

    folder: str = ""
    size: int = 64
    slices: str = "tumour"
    unlabelled: bool = False
    has_sites: ClassVar[bool] = True

    def __post_init__(self) -> None:
        positive("source 'lgg'", size=self.size)
        one_of("source 'lgg'", ("tumour", "all"), slices=self.slices)
        if self.unlabelled and self.slices != "all":
            raise StudyError(
                "source 'lgg'.slices = 'tumour' is chosen by masks, and source.unlabelled = true reads none: set "
                "source.slices = 'all'."
            )
        if SIDE % self.size:
            raise StudyError(f"source 'lgg'.size must divide {SIDE}; it is {self.size}.")

    def sites(self) -> tuple[SiteId, ...]:
        """Institutions of the table, sorted, but for those that are too small."""
        return tuple(sorted({one.site for one in self._table().values()} - set(TOO_SMALL)))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All chosen slices of one institution. inputs: (N, 1, size, size); targets: (N, size, size) of uint8."""
        if site not in self.sites():
            raise unknown("hospital", str(site), self.sites())
        folder = existing(self.folder, "lgg-mri-5site", REMEDY)
        images, masks, names, quarantined = [], [], [], []
        for patient, person in sorted((name, one.person) for name, one in self._table().items() if one.site == site):
            try:
                shown, outlined = self._slices(folder, patient)
            except SourceError as error:
                quarantined.append(Quarantined(patient, str(error)))
                continue
            images.append(shown)
            masks.append(outlined)
            names += [person] * len(shown)
        if not images:
            return gathered(quarantined, f"{folder} holds no usable patient of {site!r}. {REMEDY}")
        return Cases.of(
            np.concatenate(images)[:, None].astype(np.float32),
            np.concatenate(masks),
            np.array(names),
            () if self.unlabelled else ("healthy", "abnormal"),
            quarantined=tuple(quarantined),
        )

    def _table(self) -> dict[str, Listed]:
        path = existing(self.folder, "lgg-mri-5site", REMEDY) / "patients.csv"
        return listed_files(path, "institution", REMEDY)

    def _slices(self, folder: Path, patient: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The chosen slices of a patient, and their masks or no truth."""
        flair, mask = _read(folder, patient, self.unlabelled)
        if mask is None:
            return _shrunk(_scaled(flair), self.size), no_truth(len(flair))
        kept = self._chosen(mask)
        outlined = _shrunk(mask[kept].astype(np.float32), self.size) >= 0.5
        return _shrunk(_scaled(flair)[kept], self.size), outlined.astype(np.uint8)

    def _chosen(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        if self.slices == "all":
            return np.arange(len(mask))
        ill = mask.any(axis=(1, 2))
        others = np.flatnonzero(~ill)
        count = min(len(others), max(1, int(ill.sum())))
        spaced = others[np.linspace(0, len(others) - 1, count).round().astype(int)] if len(others) else others
        return np.sort(np.concatenate([np.flatnonzero(ill), spaced]))


def _read(folder: Path, patient: str, unlabelled: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    found = [path for path in sorted((folder / "patients_flair128").glob("*.npz")) if _is_of(path.stem, patient)]
    if len(found) != 1:
        raise SourceError(f"{len(found)} files of the patient instead of one")
    arrays = read_npz(found[0], ("flair",) if unlabelled else ("flair", "mask"))
    flair, mask = arrays["flair"], arrays.get("mask")
    if mask is None:
        if flair.shape[1:] != (SIDE, SIDE) or len(flair) == 0 or flair.dtype != np.uint8:
            raise SourceError(f"flair is {flair.shape} of {flair.dtype}")
        return flair, None
    if flair.shape != mask.shape or flair.shape[1:] != (SIDE, SIDE) or len(flair) == 0:
        raise SourceError(f"flair is {flair.shape} and mask {mask.shape}")
    if flair.dtype != np.uint8 or mask.dtype != np.bool_:
        raise SourceError(f"flair is of {flair.dtype} and mask of {mask.dtype}")
    return flair, mask


def _is_of(stem: str, patient: str) -> bool:
    """Whether a file is the patient's, alone or with a date behind: another patient's longer name is not taken in."""
    return stem == patient or (stem.startswith(patient) and DATE.fullmatch(stem, len(patient)) is not None)


def _scaled(flair: NDArray[np.uint8]) -> NDArray[np.float32]:
    head = flair[flair > 0]
    if head.size == 0:
        return flair.astype(np.float32)
    scaled = (flair.astype(np.float32) - head.mean()) / max(float(head.std()), 1.0)
    return np.asarray(scaled, dtype=np.float32)


def _shrunk(images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(N, size, size): means of blocks of pixels."""
    step = SIDE // size
    blocks = images.reshape(len(images), size, step, size, step)
    return np.asarray(blocks.mean(axis=(2, 4)), dtype=np.float32)


source: type[Source] = Lgg
