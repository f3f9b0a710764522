"""DICOM files of any names: series as volumes in mm; labels as DICOM SEG, RTSTRUCT, NIfTI, or a table's column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._dicom_contours import read_contours
from client.sources._dicom_frames import CONTOURS as CONTOUR_KIND
from client.sources._dicom_frames import SEGMENTATION as SEGMENTATION_KIND
from client.sources._dicom_geometry import Stack, tilt_in_words
from client.sources._dicom_index import BY_FOLDER, BY_INSTITUTION, Choice, Chosen, Index, indexed
from client.sources._dicom_labels import LabelFiles
from client.sources._dicom_pixels import read_image
from client.sources._dicom_segmentation import Segments, read_segmentations
from client.sources._dicom_series import Headers, Listing, listed, read_headers, stacks_of
from client.sources._dicom_table import Table, read_table
from client.sources._dicom_tilt import straightened
from client.sources._dicom_volume import turned
from client.sources._folders import existing, inside
from client.sources._nifti_volume import Volume
from client.sources._volume_scans import Scan, Sorted, Unusable
from client.sources._volume_source import VolumeSource
from common.data.cases import Cases, Quarantined, SiteId
from common.data.names import fault_of, in_one_form
from common.errors import FileError, SourceError, StudyError
from common.study.checks import between, one_of
from common.study.spelling import unknown

REMEDY = "Name a folder with DICOM files: --set source.folder=..."
PERSONS = (
    "A person is who the table's column person (subject, participant_id) names for a PatientID or a "
    "SeriesInstanceUID, or else whom PatientID and IssuerOfPatientID name."
)
SEGMENTATIONS, CONTOURS, TABLE = "seg", "rtstruct", "table"


@dataclass(frozen=True)
class Dicom(VolumeSource):
    """Files of any names in any folders, put together by SeriesInstanceUID and by the positions of their slices.

    series: a pattern for SeriesDescription, as "*t1*"; "" takes all. Every series is a case, and
    every echo or phase in it; what has no true place in a box is put aside, by name and reason.
    labels: "seg", DICOM segmentations that refer to a series; "rtstruct", contours that do; "table", one class a
    series from the table's column `label`; or a pattern for NIfTI files in the series' own place, as
    "labels/{patient}/{series}.nii.gz", of {patient}, {person}, {site}, {study}, {series} (UIDs), {number} and
    {description}.
    segments: class by a segment's number or label, "" to leave it out, "*" for all others; without it a segment's
    label is its class. least_fraction: from which share on a voxel of a fractional segmentation is in its segment.
    overlap: "last" gives a voxel of several segments to the class that is named last, "refuse" puts the case aside.
    tilt: "resample" moves slices of a tilted gantry into one box, "refuse" puts the series aside.
    table: a table in the folder, with a column PatientID or SeriesInstanceUID and person, site or `label`.
    site: "folder", "InstitutionName", or a column of the table ("" for `site`, where it has one).
    MONOCHROME1 is inverted, except in CT and PET, whose numbers are measured. Padding gets the least value.
    The other options are those of source "nifti".

    modality: which series are taken by it, as "CT" or "MR"; "" takes all. label: the column of `table` with a
    class a series.
    """

    sites_by: ClassVar[str] = "source.site = 'folder', 'InstitutionName' or a column of source.table"
    persons: ClassVar[str] = PERSONS
    name: ClassVar[str] = "dicom"
    remedy: ClassVar[str] = REMEDY

    modality: str = ""
    series: str = ""
    labels: str = SEGMENTATIONS
    label: str = "label"
    segments: Mapping[str, str] = field(default_factory=dict)
    least_fraction: float = 0.5
    overlap: Literal["refuse", "last"] = "refuse"
    tilt: Literal["refuse", "resample"] = "refuse"
    site: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        between("source 'dicom'", 0.001, 1, least_fraction=self.least_fraction)
        if "{" in self.labels:
            LabelFiles(self.labels)
        else:
            one_of(f"source {self.name!r}", (SEGMENTATIONS, CONTOURS, TABLE), labels=self.labels)
        if not self.table:
            self._demand_table()
        if self._one_a_series and not self.table:
            raise StudyError("source.labels = 'table' needs source.table, the table's name.")
        if self.site not in ("", BY_FOLDER, BY_INSTITUTION) and not self.table:
            raise StudyError(
                f"source.site {self.site!r} is a column of source.table, which is not named; or write 'folder' or "
                "'InstitutionName'."
            )
        for name, to in self.segments.items():
            if not isinstance(to, str):
                raise StudyError(f'source.segments.{name} must be the name of a class or ""; it is {to!r}.')
            if to:
                one_of("source 'dicom'", self.classes, **{f"segments.{name}": to})

    @property
    def has_sites(self) -> bool:
        """Whether folders, InstitutionName or a table say which hospital a series is from."""
        return self.site != "" or (bool(self.table) and self._table().has_sites)

    @property
    def one_a_class(self) -> bool:
        """No: a file of labels has all classes."""
        return False

    @property
    def series_wanted(self) -> Mapping[str, Any]:
        """By its own options."""
        return {"modality": self.modality, "series": self.series, "tilt": self.tilt}

    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals, sorted. Reads no pixel, and of folders not even a header."""
        if self.site == BY_FOLDER:
            return tuple(sorted(self._folders()))
        return self._index(None).sites if self.has_sites else ()

    def tables(self) -> tuple[Path, ...]:
        """The table of persons, hospitals and labels, where one is named."""
        return (inside(self._folder(), self.table),) if self.table else ()

    def scans(self) -> Sorted:
        """Series of every hospital with their files, and whatever cannot be used."""
        found: dict[SiteId, tuple[Scan | Unusable, ...]] = {}
        for site in self.sites() or ("",):
            chosen, left_out = self._index(site or None).of(site or None)
            found[site] = (
                *(self._scan(one) for one in chosen),
                *(Unusable(one.name, one.reason) for one in left_out),
            )
        return found

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        """Every file below the hospital's folder, or the whole folder: whose a file is, only its header tells."""
        listing = self._listing(site)
        folder = self._folder()
        named = [word for word, _, _ in listing.files]
        return tuple(sorted({*self.tables(), *(folder / word for word in (*named, *self._label_files()))}))

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        """The cases of one series after the other."""
        if site is not None and site not in self.sites():
            raise unknown("hospital", site, self.sites())
        chosen, left_out = self._index(site).of(site)
        for one in chosen:
            yield from self._parts_of(one)
        yield from left_out
        yield from self._unused_labels(site)

    def _parts_of(self, chosen: Chosen) -> Iterator[Cases | Quarantined]:
        title = chosen.series.title
        if chosen.fault:
            yield Quarantined(title, chosen.fault)
            return
        for phase, stack in stacks_of(chosen.series):
            name = f"{title}, {phase}" if phase else title
            try:
                if isinstance(stack, str):
                    raise SourceError(stack)
                yield self._cases_of(self._volume(chosen, stack), chosen)
            except SourceError as error:
                yield Quarantined(name, str(error))
            except FileError as error:
                yield Quarantined(name, f"{error.args[0]} {error.reason}")

    def _cases_of(self, volume: Volume, chosen: Chosen) -> Cases:
        prepared = self._preparation().prepared(volume)
        count = len(prepared.inputs)
        consent = None if chosen.consent is None else np.full(count, chosen.consent)
        cases = self._of_prepared(prepared, chosen.person, consent=consent)
        if self._one_a_series:
            of_class = np.full(count, self._class_of(chosen.label), np.int64)
            cases = cases.with_columns(targets=of_class, removed=None, unsampled=None)
        kept = dict(chosen.kept)
        return cases.with_columns(**{name: np.full(count, kept.get(name, "")) for name in self.handed_on})

    @property
    def _one_a_series(self) -> bool:
        return self.labels == TABLE and not self.unlabelled

    def _volume(self, chosen: Chosen, stack: Stack) -> Volume:
        """A stack and its labels, axes towards right, front and top."""
        if stack.tilted and self.tilt == "refuse":
            raise SourceError(tilt_in_words(stack))
        labels = np.zeros(stack.shape, np.uint8)
        if self._one_a_series:
            self._class_of(chosen.label)
        if not self.unlabelled and self.labels in (SEGMENTATIONS, CONTOURS):
            labels = self._segmented(chosen, stack)
        image, affine = read_image(self._folder(), stack), stack.affine
        if stack.tilted:
            straight = straightened(image, labels, stack)
            image, labels, affine = straight.image, straight.labels, straight.affine
        volume = turned(image, labels, affine, len(self.classes))
        if "{" in self.labels and not self.unlabelled:
            return LabelFiles(self.labels).labelled(self._folder(), chosen, volume, self._reading())
        return volume

    def _segmented(self, chosen: Chosen, stack: Stack) -> NDArray[np.uint8]:
        instances = {header.name: header.instance for header in chosen.series.headers}
        of_stack = {instances[frame.name] for frame in stack.frames}
        others = set(instances.values()) - of_stack
        names = [one.name for one in chosen.segmentations if one.referenced & of_stack or not one.referenced & others]
        if not names:
            kind = "DICOM segmentation" if self.labels == SEGMENTATIONS else "structure set (RTSTRUCT)"
            raise SourceError(f"has no labels: no {kind} here refers to it")
        segments = Segments(self.classes, self.segments, self.least_fraction, self.overlap)
        read = read_segmentations if self.labels == SEGMENTATIONS else read_contours
        return read(self._folder(), names, stack, segments)

    def _class_of(self, label: str) -> int:
        if label in self.classes:
            return self.classes.index(label)
        folded = [name.casefold() for name in self.classes]
        if not label:
            raise SourceError(f"has no label in column {self.label} of {self.table}")
        if folded.count(label.casefold()) != 1:
            raise SourceError(str(unknown("class", label, self.classes)))
        return folded.index(label.casefold())

    def _scan(self, chosen: Chosen) -> Scan | Unusable:
        folder = self._folder()
        images = tuple(folder / header.name for header in chosen.series.headers)
        if chosen.fault:
            return Unusable(chosen.series.title, chosen.fault, images)
        return Scan(
            chosen.series.title, chosen.person, images, tuple(folder / one.name for one in chosen.segmentations)
        )

    def _folder(self) -> Path:
        return existing(self.folder, "dicom", REMEDY)

    def _folders(self) -> dict[SiteId, list[str]]:
        """Folders by the hospital they are named for, whose files are not opened yet."""
        found: dict[SiteId, list[str]] = {}
        for word, _, _ in self._listing(None).files:
            top, slash, _ = word.partition("/")
            if slash and top not in found.setdefault(in_one_form(top), []):
                found[in_one_form(top)].append(top)
        for name in found:
            if fault := fault_of(name):
                raise SourceError(f"the folder {name!r} is named for a hospital (source.site) and {fault}.")
        return found

    def _listing(self, site: SiteId | None) -> Listing:
        folder = self._folder()
        below = self._folders().get(site, []) if self.site == BY_FOLDER and site is not None else [""]
        without = {inside(folder, self.table).relative_to(folder).as_posix()} if self.table else set()
        return listed(folder, below, without | set(self._label_files()))

    def _label_files(self) -> tuple[str, ...]:
        return LabelFiles(self.labels).files(self._folder()) if "{" in self.labels else ()

    def _table(self) -> Table:
        column = "" if self.site in (BY_FOLDER, BY_INSTITUTION) else self.site
        label = self.label if self._one_a_series else ""
        return read_table(self._folder(), self.table, column, label, self.consent_column, self.handed_on)

    def _index(self, site: SiteId | None) -> Index:
        return self._indexed(self._listing(site))

    def _indexed(self, listing: Listing) -> Index:
        return self._index_of(read_headers(listing))

    def _index_of(self, headers: Headers) -> Index:
        headers = replace(headers, segmentations=()) if self.unlabelled else headers
        kind = CONTOUR_KIND if self.labels == CONTOURS else SEGMENTATION_KIND
        return indexed(headers, self._table(), Choice(self.modality, self.series, self.site, kind), self._folder())

    def _unused_labels(self, site: SiteId | None) -> Iterator[Quarantined]:
        """Files of labels that are of no series here; where one hospital's folder is read, those in it."""
        if "{" not in self.labels or self.unlabelled:
            return
        sites = self.sites()
        if site is None or (self.site != BY_FOLDER and site == sites[0]):
            used = {LabelFiles(self.labels).name_for(one) for one in self._index(None).chosen}
            for name in self._label_files():
                if name not in used:
                    yield Quarantined(name, "is a file of labels, and no series here has its name")


source: type[Source] = Dicom
