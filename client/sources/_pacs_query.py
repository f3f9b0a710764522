"""What a study asks a PACS for (QIDO-RS), each filter held against every answer again: a PACS may overlook any.

Of a list the pages are asked for until one brings nothing new, whatever a service says of its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Literal

from pydicom.datadict import tag_for_keyword

from client.sources._pacs_http import Pacs, PacsError, Params
from client.sources._persons import person_named
from common.data.cases import Quarantined
from common.errors import SourceError

LONGEST_UID = 64
UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[0-9]+))+")
LONGEST_WORD = 1024
PASSING = ("00080054", "00080056", "00080061", "00081190", "00083002", "00201204", "00201206", "00201208")
"""Where an object is and in what it can be had, and what other series its study and patient have."""
SEGMENTATION, CONTOURS = "SEG", "RTSTRUCT"
STUDY_FIELDS = ("StudyDescription", "ModalitiesInStudy", "IssuerOfPatientID", "NumberOfStudyRelatedSeries")
SERIES_FIELDS = (
    "SeriesDescription",
    "IssuerOfPatientID",
    "SeriesDate",
    "SeriesTime",
    "NumberOfSeriesRelatedInstances",
)
INSTANCE_FIELDS = ("NumberOfFrames", "AvailableTransferSyntaxUID")
Pick = Literal["all", "most_images", "latest"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """Patterns take * and ?; "" and () take all. since, until: YYYYMMDD. labels: modality of series that label.

    filters: keywords of DICOM and patterns. pick: which of a study's series, where several fit.
    """

    modality: str = ""
    series: str = ""
    study: str = ""
    since: str = ""
    until: str = ""
    patients: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    pick: Pick = "all"
    labels: str = ""

    @property
    def digest(self) -> str:
        """Of all that decides which series are taken."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Asked:
    """A series that is to be fetched. images: SOPInstanceUIDs, sorted. syntaxes: in which they are stored, if said.

    state: of all that the PACS said of it: another one is another series.
    """

    study: str
    series: str
    patient: str
    title: str
    modality: str
    images: tuple[str, ...]
    syntaxes: frozenset[str]
    state: str


@dataclass(frozen=True)
class Answered:
    """series: in order. left_out: what was found and cannot be taken. studies: how many fit."""

    series: tuple[Asked, ...]
    left_out: tuple[Quarantined, ...]
    studies: int


def said(row: Row, keyword: str) -> str:
    """The first word of a tag in an answer; "" where it is absent, or of a form that it must not have."""
    return next(iter(all_said(row, keyword)), "")


def all_said(row: Row, keyword: str) -> tuple[str, ...]:
    """All words of a tag in an answer."""
    found = row.get(f"{tag_for_keyword(keyword):08X}")
    values = found.get("Value") if isinstance(found, dict) else None
    return tuple(map(_word, values[:LONGEST_WORD])) if isinstance(values, list) else ()


def _word(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("Alphabetic", "")
    return str(value)[:LONGEST_WORD].strip(" \0") if isinstance(value, (str, int, float)) else ""


def is_uid(text: str) -> bool:
    """Whether that can be a UID (PS3.5 9.1), and so a part of an address and a file's name."""
    return len(text) <= LONGEST_UID and UID.fullmatch(text) is not None


def asked(pacs: Pacs, query: Query) -> Answered:
    """All series that a query takes, with their images, and what stands in the way of others.

    Raises SourceError where the PACS cannot be asked, or has more than its settings allow.
    """
    found: list[Asked] = []
    left_out: list[Quarantined] = []
    images, count, filters = 0, 0, Filters(query)
    for row in _studies(pacs, query):
        count += 1
        for one in _of_study(pacs, query, row, filters):
            if isinstance(one, Quarantined):
                left_out.append(one)
                continue
            images += len(one.images)
            found.append(one)
            if images > pacs.settings.most_images:
                raise PacsError(
                    f"the study takes more than {pacs.settings.most_images} images (pacs.toml: most_images)"
                )
    filters.demand_told()
    return Answered(tuple(found), tuple(left_out), count)


@dataclass
class Filters:
    """Which keywords of a query's filters no answer told: a PACS that never tells one would seem to have nothing."""

    query: Query
    asked: int = 0
    told: set[str] = field(default_factory=set)

    def hear(self, row: Row) -> None:
        """Of a series, with what is said of its study."""
        self.asked += 1
        self.told |= {keyword for keyword, _ in self.query.filters if all_said(row, keyword)}

    def demand_told(self) -> None:
        """Raises PacsError that names them."""
        untold = [keyword for keyword, _ in self.query.filters if keyword not in self.told]
        if self.asked and untold:
            raise PacsError(
                f"the PACS tells {' and '.join(untold)} of none of {self.asked} series, so that the study's filters "
                "cannot be held against them: leave that out of source.filters"
            )


def _studies(pacs: Pacs, query: Query) -> Iterator[Row]:
    """Every study that fits, once, by its UID."""
    params = [("includefield", one) for one in STUDY_FIELDS]
    if query.modality:
        params.append(("ModalitiesInStudy", query.modality))
    if query.since or query.until:
        params.append(("StudyDate", f"{query.since}-{query.until}"))
    if query.study:
        params.append(("StudyDescription", query.study))
    rows: dict[str, Row] = {}
    for patient in query.patients or ("",):
        own = [*params, ("PatientID", patient)] if patient else params
        rows |= _paged(pacs, "studies", own, "StudyInstanceUID", pacs.settings.most_studies)
    if query.study and rows and not any(said(row, "StudyDescription") for row in rows.values()):
        raise PacsError(
            f"the PACS tells StudyDescription of none of {len(rows)} studies, so that source.study cannot be held "
            "against them: leave it out"
        )
    for uid in sorted(rows):
        if _takes_study(query, rows[uid]):
            yield rows[uid]


def _takes_study(query: Query, row: Row) -> bool:
    date = said(row, "StudyDate")
    wanted = {person_named(one) for one in query.patients}
    modalities = {one.casefold() for one in all_said(row, "ModalitiesInStudy")}
    return (
        _fits(said(row, "StudyDescription"), query.study)
        and (not wanted or person_named(said(row, "PatientID")) in wanted)
        and (
            not (query.since or query.until) or ((query.since or "0") <= date <= (query.until or "9") and bool(date))
        )
        and (not query.modality or not modalities or query.modality.casefold() in modalities)
    )


def _of_study(pacs: Pacs, query: Query, study: Row, filters: Filters) -> Iterator[Asked | Quarantined]:
    uid = said(study, "StudyInstanceUID")
    if not is_uid(uid):
        yield Quarantined("a study of the PACS", f"has {uid[:80]!r} for its UID, which is none")
        return
    fields = (*SERIES_FIELDS, *(keyword for keyword, _ in query.filters))
    params = [("includefield", one) for one in fields]
    most, expected = pacs.settings.most_images, _count(study, "NumberOfStudyRelatedSeries")
    try:
        rows = _paged(pacs, f"studies/{uid}/series", params, "SeriesInstanceUID", most, expected)
    except PacsError:
        raise
    except SourceError as error:
        yield Quarantined(f"study {uid}", str(error))
        return
    merged = [{**study, **row} for _, row in sorted(rows.items())]
    for one in merged:
        filters.hear(one)
    chosen = list(_chosen(query, merged))
    labels = [one for one in merged if chosen and query.labels and said(one, "Modality") == query.labels]
    for row in chosen + labels:
        try:
            yield _asked(pacs, row)
        except PacsError:
            raise
        except SourceError as error:
            yield Quarantined(_title(row), str(error))


def _chosen(query: Query, rows: Sequence[Row]) -> Iterator[Row]:
    fitting = [row for row in rows if takes_series(query, row)]
    if query.pick == "all" or not fitting:
        yield from fitting
    elif query.pick == "most_images":
        yield max(fitting, key=lambda row: _count(row, "NumberOfSeriesRelatedInstances"))
    else:
        yield max(fitting, key=lambda row: (said(row, "SeriesDate"), said(row, "SeriesTime"), _number(row)))


def takes_series(query: Query, row: Row) -> bool:
    """Whether an answer's series fits modality, description and filters, in words of its own."""
    modality = said(row, "Modality")
    if modality in (SEGMENTATION, CONTOURS) and query.modality.casefold() != modality.casefold():
        return False
    return (
        (not query.modality or modality.casefold() == query.modality.casefold())
        and _fits(said(row, "SeriesDescription"), query.series)
        and all(any(_fits(one, pattern) for one in all_said(row, keyword)) for keyword, pattern in query.filters)
    )


def _fits(word: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(word.casefold(), pattern.casefold().replace("[", "[[]"))


def _asked(pacs: Pacs, row: Row) -> Asked:
    study, series = said(row, "StudyInstanceUID"), said(row, "SeriesInstanceUID")
    if not is_uid(series):
        raise SourceError(f"has {series[:80]!r} for its UID, which is none")
    expected = _count(row, "NumberOfSeriesRelatedInstances")
    params = [("includefield", one) for one in INSTANCE_FIELDS]
    path = f"studies/{study}/series/{series}/instances"
    images = _paged(pacs, path, params, "SOPInstanceUID", pacs.settings.most_images, expected)
    wrong = [uid for uid in images if not is_uid(uid)]
    if wrong or not images:
        raise SourceError(f"has an image with the UID {wrong[0][:80]!r}, which is none" if wrong else "has no image")
    if expected and len(images) != expected:
        raise SourceError(f"has {expected} images, as the PACS says of it, and lists {len(images)}")
    syntaxes = {one for image in images.values() for one in all_said(image, "AvailableTransferSyntaxUID")}
    state = json.dumps(
        [_lasting(row), sorted((uid, _lasting(image)) for uid, image in images.items())], sort_keys=True
    )
    return Asked(
        study,
        series,
        said(row, "PatientID"),
        _title(row),
        said(row, "Modality"),
        tuple(sorted(images)),
        frozenset(syntaxes),
        sha256(state.encode()).hexdigest(),
    )


def _lasting(row: Row) -> Row:
    """Without what changes while the images stay what they are."""
    return {tag: value for tag, value in row.items() if tag not in PASSING}


def _title(row: Row) -> str:
    about = f"{said(row, 'SeriesNumber')} {said(row, 'SeriesDescription')}".strip() or said(row, "Modality")
    return f"series {about} ({said(row, 'SeriesInstanceUID')[:LONGEST_UID]})"


def _count(row: Row, keyword: str) -> int:
    word = said(row, keyword)
    return int(word) if re.fullmatch(r"[0-9]{1,9}", word) else 0


def _number(row: Row) -> tuple[int, str]:
    return _count(row, "SeriesNumber"), said(row, "SeriesInstanceUID")


def _paged(pacs: Pacs, path: str, params: Params, key: str, most: int, expected: int = 0) -> dict[str, Row]:
    """All rows of a list by UID. Raises SourceError for more than `most`, and where a service gives page 1 only."""
    found: dict[str, Row] = {}
    page = pacs.settings.page
    while True:
        rows = pacs.rows(path, [*params, ("limit", str(page)), ("offset", str(len(found)))])
        new = {said(row, key): row for row in rows if said(row, key) not in found}
        found |= new
        if len(found) > most:
            raise SourceError(f"the PACS lists more than {most} of {path}: narrow the study's query")
        if not rows or (expected and len(found) >= expected):
            return found
        if not new:
            if len(rows) >= page and len(found) <= page:
                raise SourceError(
                    f"the PACS gives the same {len(rows)} rows of {path} whatever page is asked for, so that nobody "
                    "knows how many there are"
                )
            return found
