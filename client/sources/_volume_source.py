"""What sources of volumes share: their options, and their scans read one by one into cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import gathered
from client.sources._asked import asked_columns, levels_of
from client.sources._nifti_volume import NotFinite, Reading, Volume, read_scan, read_turned_scan
from client.sources._volume_intensity import NORMALISATIONS, Normalisation
from client.sources._volume_new import Lying, new_case
from client.sources._volume_preparation import Preparation, Prepared
from client.sources._volume_sampling import Interpolation, LabelInterpolation
from client.sources._volume_scans import Scan, Sorted, Unusable
from common.data.cases import Cases, Given, Quarantined, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.checks import between, listed, non_negative, one_of, positive
from common.study.spelling import unknown

LARGEST_CUBE = 512
MOST_CLASSES = 256


@dataclass(frozen=True)
class VolumeSource(ABC):
    """Options of all sources of volumes.

    classes: their names, background first. dimensions: 2 for slices across `axis` (0, 1 or 2, after turning to RAS; 2
    gives axial ones); 3 for whole volumes, one a scan, axes towards right, front and top. slices_per_patient: of each
    volume, evenly spaced among those with a label; 0 keeps every slice.
    size: slices and volumes are cropped or filled (labels with class 0) around their centre to squares and cubes of
    `size`, or to [x, y, z]; 0 leaves each in its own shape, for a task that draws patches. spacing_mm: [x, y, z] to
    which volumes are brought first, () for each its own; interpolation: "linear" or "cubic", label_interpolation:
    "linear" in the classes' shares or "nearest".
    window: [low, high] to which intensities are clipped, as [-100, 300] HU. normalisation, of each channel of each
    scan by itself: "zscore" to mean 0 and deviation 1, "zscore_nonzero" of voxels that are not 0, "minmax" to 0 and 1
    (of the window where there is one), "none". not_finite: "refuse" puts scans with NaN or infinite voxels aside,
    "least" gives such voxels the least value of their channel.
    channels_a_file: volumes along the fourth axis of an image. label_values: what stands for each class in files of
    labels, all else being background; () for 0, 1, 2, ....

    consent_column: the table's column that says which studies a person consents to, as `client.consent` has it; ""
    for `consent`, where it has one. keep: columns of the table that the cases hand on as words; what
    report.subgroups names is added by itself. asked: columns of the table that questions read, and what they hold, as
    of source "table".

    unlabelled: the images alone, for a task without labels: no label is looked for, and the cases have no truth, nor
    classes. What fits the places of labels is still no image. Slices are spaced evenly over the whole volume.

    Spacing is kept to 0.1 um. What resampling and `size` take from the truth is counted in the column `removed`, what
    is in slices that were not drawn in `unsampled`: (N, classes) voxels.

    folder: where the data are. axis: across which slices are cut: 0, 1 or 2, from the left, the back or the
    feet.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    name: ClassVar[str]
    remedy: ClassVar[str]
    new_kinds: ClassVar[tuple[Kind, ...]] = ("nifti", "dicom")

    folder: str = ""
    table: str = ""
    classes: tuple[str, ...] = ("background", "structure")
    axis: int = 2
    size: int | tuple[int, ...] = 64
    slices_per_patient: int = 8
    dimensions: Literal[2, 3] = 2
    spacing_mm: tuple[float, ...] = ()
    interpolation: Interpolation = "linear"
    label_interpolation: LabelInterpolation = "linear"
    window: tuple[float, ...] = ()
    normalisation: Normalisation = "zscore"
    not_finite: NotFinite = "refuse"
    channels_a_file: int = 1
    label_values: tuple[int, ...] = ()
    unlabelled: bool = False
    consent_column: str = ""
    keep: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"source {self.name!r}"
        between(where, 0, 2, axis=self.axis)
        between(where, 0, 10_000, slices_per_patient=self.slices_per_patient)
        listed(where, 2, MOST_CLASSES, classes=self.classes)
        between(where, 1, 64, channels_a_file=self.channels_a_file)
        one_of(where, NORMALISATIONS, normalisation=self.normalisation)
        positive(where, **{f"spacing_mm[{index}]": mm for index, mm in enumerate(self.spacing_mm)})
        self._check_size(where)
        asked_columns(self.asked)
        if len(self.spacing_mm) not in (0, 3):
            raise StudyError(f"{where}.spacing_mm must be three numbers, x, y and z; it is {list(self.spacing_mm)}.")
        if self.window and (len(self.window) != 2 or not self.window[0] < self.window[1]):
            raise StudyError(f"{where}.window must be [low, high], low below high; it is {list(self.window)}.")
        if self.label_values and len(set(self.label_values)) != len(self.classes):
            raise StudyError(
                f"{where}.label_values must be {len(self.classes)} different numbers, one for each of classes; it is "
                f"{list(self.label_values)}."
            )

    def _demand_table(self) -> None:
        """Raise StudyError where columns are to be handed on, and there is no table that has any."""
        if self.handed_on:
            raise StudyError(
                f"source {self.name!r} has no table, and {', '.join(self.handed_on)} would be a column of it "
                "(source.keep, source.asked, report.subgroups): name the table in source.table."
            )

    @property
    def handed_on(self) -> tuple[str, ...]:
        """Columns of the table that are in the cases."""
        return tuple(dict.fromkeys((*self.keep, *asked_columns(self.asked))))

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """Of `asked`."""
        return levels_of(asked_columns(self.asked))

    @property
    @abstractmethod
    def has_sites(self) -> bool:
        """Whether the data says which hospital a patient is from."""

    @property
    @abstractmethod
    def one_a_class(self) -> bool:
        """Whether each file of labels is a class."""

    @abstractmethod
    def tables(self) -> tuple[Path, ...]:
        """Tables that say whose scans are, and of which hospital."""

    @abstractmethod
    def scans(self) -> Sorted:
        """Scans of every hospital, and whatever cannot be used; under "" where nothing tells of hospitals."""

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals, sorted."""
        return tuple(sorted(site for site in self.scans() if site)) if self.has_sites else ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """inputs: (N, channels, ...); targets: (N, ...) of uint8. `Prepared` has the other columns."""
        return gathered(
            self.parts(site, seed), f"{self.folder or 'the folder'} holds no usable volume. {self.remedy}"
        )

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        """Tables and every file that is of this hospital, of scans that cannot be used too, sorted."""
        return tuple(sorted({*self.tables(), *(path for scan in self.of_site(site) for path in scan.files)}))

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        """The cases of one scan after the other."""
        for scan in self.of_site(site):
            yield self._part(scan) if isinstance(scan, Scan) else scan.quarantined

    @property
    def files_a_case(self) -> int:
        """How many NIfTI files of images a case is made of."""
        return 1

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase | Quarantined]:
        """A NIfTI file, or every series of a folder of DICOM files, whatever of the two the study learned from."""
        if new.kind == "dicom":
            from client.sources._dicom_new import WantedSeries, new_series

            wanted = WantedSeries(**self.series_wanted, classes=len(self.classes))
            yield from new_series(new.paths[0], wanted, partial(self._new_case, learned))
            return
        if len(new.paths) != self.files_a_case:
            raise SourceError(
                f"is {len(new.paths)} file{'s' * (len(new.paths) > 1)}, and a case of this study is "
                f"{self.files_a_case}, one a channel: name them together, first.nii.gz,second.nii.gz, in the order "
                "of source.images"
            )
        volume, turn = read_turned_scan(new.paths, (), self._reading())
        affine = volume.affine
        yield self._new_case(learned, new.name, volume, Lying(turn, affine, new.paths[0]), ())

    @property
    def series_wanted(self) -> Mapping[str, Any]:
        """Which series of DICOM files a network of this study is for, as options of source "dicom"."""
        return {}

    def _new_case(
        self, learned: Learned, name: str, volume: Volume, lying: Lying, remarks: tuple[str, ...]
    ) -> NewCase:
        if len(volume.channels) != learned.shape.inputs[0]:
            raise SourceError(
                f"has {len(volume.channels)} channels, and the network learned on {learned.shape.inputs[0]}"
            )
        return new_case(name, volume, lying, self._preparation(), self.label_values, remarks)

    def of_site(self, site: SiteId | None) -> tuple[Scan | Unusable, ...]:
        """Scans of one hospital, or all. Raises UnknownNameError for no hospital."""
        scans = self.scans()
        if site is None:
            return tuple(one for each in scans.values() for one in each)
        if site not in scans:
            raise unknown("hospital", site, [each for each in scans if each])
        return scans[site]

    def _part(self, scan: Scan) -> Cases | Quarantined:
        try:
            volume = read_scan(scan.images, scan.labels, self._reading())
            prepared = self._preparation().prepared(volume)
        except SourceError as error:
            return Quarantined(scan.name, str(error))
        return self._of_prepared(
            prepared,
            scan.person,
            consent=None if scan.consent is None else np.full(len(prepared.inputs), scan.consent),
        ).with_columns(
            **{name: np.full(len(prepared.inputs), dict(scan.kept).get(name, "")) for name in self.handed_on}
        )

    def _of_prepared(self, prepared: Prepared, person: str, **others: Given | None) -> Cases:
        """Cases of a volume with the labels that it was read with, or without any."""
        count = len(prepared.inputs)
        cases = Cases.of(
            prepared.inputs,
            prepared.targets,
            [person] * count,
            self.classes,
            spacing_mm=np.tile(prepared.spacing_mm, (count, 1)),
            affine=prepared.affines,
            removed=prepared.removed,
            unsampled=prepared.unsampled,
        ).with_columns(**others)
        return cases.without_truth() if self.unlabelled else cases

    def _reading(self) -> Reading:
        return Reading(len(self.classes), self.label_values, self.one_a_class, self.channels_a_file, self.not_finite)

    def _preparation(self) -> Preparation:
        sides = self.size if isinstance(self.size, tuple) else (self.size,) * self.dimensions if self.size else ()
        return Preparation(
            sides,
            self.spacing_mm,
            self.interpolation,
            self.label_interpolation,
            self.window,
            self.normalisation,
            self.axis if self.dimensions == 2 else None,
            self.slices_per_patient,
            len(self.classes),
        )

    def _check_size(self, where: str) -> None:
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        if isinstance(self.size, tuple):
            positive(where, **{f"size[{index}]": side for index, side in enumerate(self.size)})
            if len(self.size) != self.dimensions:
                raise StudyError(
                    f"{where}.size must be one number or {self.dimensions}, for dimensions = {self.dimensions}; it "
                    f"is {list(self.size)}."
                )
        non_negative(where, size=min(sides))
        if self.dimensions == 3:
            between(f"{where} with dimensions 3", 0, LARGEST_CUBE, size=max(sides))
