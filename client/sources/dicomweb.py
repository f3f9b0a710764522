"""DICOM series out of a hospital's PACS by DICOMweb: the hospital says where it is, a study what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from pydicom.datadict import tag_for_keyword

from client.source import Source
from client.sources._dicom_geometry import Stack, tilt_in_words
from client.sources._dicom_index import BY_FOLDER, Chosen, Index
from client.sources._dicom_series import Listing, listed, stacks_of
from client.sources._folders import existing
from client.sources._pacs_cache import Heard, Held, held_series
from client.sources._pacs_found import FoundSeries, Told, faults_of, told
from client.sources._pacs_query import CONTOURS as CONTOURS_MODALITY
from client.sources._pacs_query import SEGMENTATION, Pick, Query
from client.sources._pacs_settings import FILE, has_settings
from client.sources.dicom import CONTOURS, SEGMENTATIONS, TABLE, Dicom
from common.data.cases import SiteId
from common.data.names import fault_of, in_one_form
from common.errors import SourceError, StudyError
from common.study.checks import listed as listed_words
from common.study.checks import one_of
from common.study.spelling import unknown

REMEDY = f"Name the folder that holds {FILE}: --set source.folder=..., or data_folder in the hospital's node.toml."
LONGEST_PATTERN = 64
CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class DicomWeb(Dicom):
    """What a study takes is fetched once into the hospital's own folder, and read there as source "dicom" reads it.

    folder: holds `pacs.toml`, the hospital's own file, which alone says where its PACS is and how one gets in; never
    an address. With site = "folder" it holds a folder for each of several PACS.
    study: a pattern for StudyDescription, as "*head*"; "" takes all. dates: [first, last] of studies, as 2020-01-31,
    "" for no bound. patients: PatientIDs; () takes all. filters: keywords of DICOM and patterns for them, as
    {BodyPartExamined = "HEAD"}, all of which a series must fit.
    pick: where several series of a study fit: "all", the one with "most_images", or the "latest".
    All filters are held against the PACS' answers again: a PACS that overlooks one changes nothing.
    The other options are those of source "dicom". Images that the PACS no longer has are removed from the folder.
    """

    name: ClassVar[str] = "dicomweb"
    remedy: ClassVar[str] = REMEDY

    study: str = ""
    dates: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    pick: Pick = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = "source 'dicomweb'"
        one_of(where, ("all", "most_images", "latest"), pick=self.pick)
        listed_words(where, 0, 10_000, patients=self.patients)
        if len(self.dates) not in (0, 2) or not all(re.fullmatch(r"|\d{4}-?\d\d-?\d\d", one) for one in self.dates):
            raise StudyError(
                f'{where}.dates must be [first, last], as ["2020-01-01", "2022-12-31"], "" for no bound; it is '
                f"{list(self.dates)}."
            )
        for keyword in self.filters:
            if tag_for_keyword(keyword) is None:
                raise unknown(f"keyword of DICOM in {where}.filters", keyword, COMMON_FILTERS)
        words = (self.modality, self.study, *self.patients, *self.filters.values())
        for word in words:
            if not isinstance(word, str) or len(word) > LONGEST_PATTERN or CONTROL.search(word):
                raise StudyError(
                    f"{where} asks with words of at most {LONGEST_PATTERN} signs without a backslash; "
                    f"{str(word)[:80]!r} is none."
                )

    @property
    def query(self) -> Query:
        """What the PACS is asked for."""
        since, until = (one.replace("-", "") for one in self.dates or ("", ""))
        kinds = {} if self.unlabelled else {SEGMENTATIONS: SEGMENTATION, CONTOURS: CONTOURS_MODALITY}
        labels = kinds.get(self.labels, "")
        return Query(
            modality=self.modality,
            series=self.series,
            study=self.study,
            since=since,
            until=until,
            patients=tuple(sorted(self.patients)),
            filters=tuple(sorted(self.filters.items())),
            pick=self.pick,
            labels=labels,
        )

    def _folder(self) -> Path:
        if "://" in self.folder or self.folder.startswith("dicomweb:"):
            raise SourceError(
                f"source.folder must be a folder that holds {FILE}; an address is taken from that file alone, which "
                "no study can change."
            )
        return existing(self.folder, "dicomweb", REMEDY)

    def _folders(self) -> dict[SiteId, list[str]]:
        """Folders of one PACS each, by the hospital they are named for."""
        found: dict[SiteId, list[str]] = {}
        for path in sorted(self._folder().iterdir()):
            if path.is_dir() and has_settings(path):
                found.setdefault(in_one_form(path.name), []).append(path.name)
        for name in found:
            if fault := fault_of(name):
                raise SourceError(f"the folder {name!r} is named for a hospital (source.site) and {fault}.")
        if not found:
            raise SourceError(f"no folder in {self._folder()} holds {FILE}. {REMEDY}")
        return found

    def _places(self, site: SiteId | None) -> list[str]:
        """Folders with settings that a hospital's series, or all, come through; "" for the folder itself."""
        if self.site != BY_FOLDER:
            return [""]
        return [one for name, places in self._folders().items() if site in (None, name) for one in places]

    def _held(self, site: SiteId | None) -> list[tuple[str, Held]]:
        return [(place, held_series(self._folder() / place, self.query)) for place in self._places(site)]

    def _listing(self, site: SiteId | None) -> Listing:
        return self._listed(self._held(site))

    def found(self, site: SiteId | None = None) -> Iterator[FoundSeries]:
        """What the PACS has for this study, taken or not, by its metadata. Fetches no image, keeps nothing."""
        for place in self._places(site):
            answer = told(self._folder() / place, self.query)
            index = self._index_of(answer.headers)
            for one in index.chosen:
                yield self._found(one, answer)
            for lost in (*answer.left_out, *(each for _, each in index.left_out)):
                yield FoundSeries(lost.name, "", "", "", 0, lost.reason)

    def _found(self, one: Chosen, answer: Told) -> FoundSeries:
        first = one.series.first
        stacks = [] if one.fault else list(stacks_of(one.series))
        tilted = [stack for _, stack in stacks if isinstance(stack, Stack) and stack.tilted]
        faults = [one.fault, faults_of(stacks), answer.undecodable.get(first.series, "")]
        if tilted and self.tilt == "refuse":
            faults.append(tilt_in_words(tilted[0]))
        faults.append("" if self.unlabelled else self._fault_of_labels(one))
        reason = next((fault for fault in faults if fault), "")
        name = f"series {first.number} {first.description}".strip()
        images = len(one.series.headers)
        return FoundSeries(name, first.patient_id, first.study_date, first.modality, images, reason)

    def _fault_of_labels(self, one: Chosen) -> str:
        if self.labels in (SEGMENTATIONS, CONTOURS) and not one.segmentations:
            kind = "DICOM segmentation" if self.labels == SEGMENTATIONS else "structure set (RTSTRUCT)"
            return f"has no labels: no {kind} in the PACS refers to it"
        if self.labels == TABLE and not one.label:
            return f"has no label in column {self.label} of {self.table}"
        return ""

    def fetched(self, heard: Heard | None = None) -> list[tuple[Path, Held]]:
        """Everything that the study takes, on the disk, by the folder it lies in; see `held_series`."""
        folders = [self._folder() / place for place in self._places(None)]
        return [(folder, held_series(folder, self.query, heard)) for folder in folders]

    def _listed(self, held: Sequence[tuple[str, Held]]) -> Listing:
        return listed(self._folder(), [f"{place}/{one}".lstrip("/") for place, found in held for one in found.places])

    def _index(self, site: SiteId | None) -> Index:
        held = self._held(site)
        found = self._indexed(self._listed(held))
        own = [(in_one_form(place), one) for place, each in held for one in each.left_out]
        return replace(found, left_out=(*found.left_out, *own))


COMMON_FILTERS = (
    "AccessionNumber",
    "BodyPartExamined",
    "InstitutionName",
    "Manufacturer",
    "ManufacturerModelName",
    "PatientSex",
    "ProtocolName",
    "StationName",
)

source: type[Source] = DicomWeb
