"""Which series of a tree are used, whose and of which hospital they are, and what else lies there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from client.sources._dicom_frames import SEGMENTATION
from client.sources._dicom_headers import Header
from client.sources._dicom_series import Headers, Series, counted_files, series_of
from client.sources._dicom_table import Row, Table
from client.sources._persons import person_named
from client.sources._site_table import KeptColumns
from common.data.cases import Quarantined, SiteId
from common.data.names import fault_of, in_one_form
from common.errors import SourceError

# fmt: off
PLACEHOLDERS = frozenset([
    "anon", "anonymous", "anonymized", "anonymised", "anonymize", "patient", "unknown", "none", "null", "na", "n/a",
    "removed", "deleted", "test", "xxx",
])
# fmt: on
"""What programs that remove names write in the place of a PatientID: all persons would be one."""
BY_FOLDER, BY_INSTITUTION = "folder", "InstitutionName"


@dataclass(frozen=True)
class Chosen:
    """One series that is to be used, or cannot be: fault. label, consent: the table's words for it.

    consent: None where no column says who consents. kept: columns that the cases hand on, and the table's words.
    """

    series: Series
    person: str
    site: SiteId
    label: str
    segmentations: tuple[Header, ...]
    fault: str
    consent: str | None = None
    kept: KeptColumns = ()


@dataclass(frozen=True)
class Index:
    """chosen: in order. left_out: by hospital, what is no series."""

    chosen: tuple[Chosen, ...]
    left_out: tuple[tuple[SiteId, Quarantined], ...]

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Hospitals that series are of, sorted."""
        return tuple(sorted({one.site for one in self.chosen if one.site}))

    def of(self, site: SiteId | None) -> tuple[tuple[Chosen, ...], tuple[Quarantined, ...]]:
        """Series of one hospital or all; what is of none is at the first one, so that it is counted once."""
        first = self.sites[0] if self.sites else ""
        chosen = tuple(one for one in self.chosen if site is None or (one.site or first) == site)
        left_out = tuple(one for own, one in self.left_out if site is None or (own or first) == site)
        return chosen, left_out


@dataclass(frozen=True)
class Choice:
    """modality, pattern (of SeriesDescription): "" for all. site: BY_FOLDER, BY_INSTITUTION, or else by the table.

    labels: of which kind files of labels are.
    """

    modality: str
    pattern: str
    site: str
    labels: str = SEGMENTATION

    def takes(self, series: Series) -> bool:
        """Whether a series is asked for."""
        first = series.first
        fits = not self.modality or first.modality.casefold() == self.modality.casefold()
        return fits and (not self.pattern or fnmatchcase(first.description.casefold(), self.pattern.casefold()))


def indexed(headers: Headers, table: Table, choice: Choice, folder: object) -> Index:
    """Raises SourceError where there are series and none is asked for."""
    every = series_of(headers.images, headers.folder)
    wanted = [series for series in every if choice.takes(series)]
    if every and not wanted:
        raise SourceError(
            f"no series in {folder} is of modality {choice.modality or 'any'!r} and described as "
            f"{choice.pattern or 'anything'!r}. There are: {_descriptions(every)}."
        )
    doubtful = _doubtful(every)
    of_labels = [one for one in headers.segmentations if one.kind == choice.labels]
    refers, lost = _by_series(of_labels, every)
    chosen = tuple(_chosen(series, table, choice, refers.get(series.uid, ()), doubtful) for series in wanted)
    places = _sites_of_folders(chosen)
    left_out = [(places.get(_folder(one.name), ""), one) for one in (*headers.broken, *lost)]
    left_out += [("", one) for one in (*headers.others, *_of_other_kind(headers, choice.labels))]
    if choice.site != BY_FOLDER:
        left_out += _rows_without_series(table, every)
    return Index(chosen, tuple(left_out))


def _chosen(
    series: Series, table: Table, choice: Choice, segmentations: Sequence[Header], doubtful: frozenset[str]
) -> Chosen:
    row = table.row_of(series.first)
    site, fault_of_site = _site(series, table, row, choice)
    person, fault_of_person = _person(series, row, doubtful)
    consent = (row.consent if row else "") if table.has_consent else None
    chosen = Chosen(
        series, person, site, row.label if row else "", tuple(segmentations), "", consent, row.kept if row else ()
    )
    faults = [series.fault, fault_of_site, fault_of_person, _fault_of_segmentations(series, segmentations)]
    return replace(chosen, fault=next((fault for fault in faults if fault), ""))


def _person(series: Series, row: Row | None, doubtful: frozenset[str]) -> tuple[str, str]:
    """Whose a series is, or why nobody can say."""
    if row and row.person:
        return row.person, ""
    named = person_named(series.first.patient_id)
    if not named:
        return "", "has an empty PatientID: name the person of the series in a table (SeriesInstanceUID, person)"
    if named in PLACEHOLDERS:
        return "", (
            f"has the PatientID {series.first.patient_id!r}, which stands for anybody: name the person of the series "
            "in a table (SeriesInstanceUID, person)"
        )
    if series.first.issuer:
        return f"{named}@{person_named(series.first.issuer)}", ""
    if named in doubtful:
        return "", (
            f"names no IssuerOfPatientID, which other series of PatientID {series.first.patient_id!r} do: one person "
            "or two? Name the person in a table"
        )
    return named, ""


def _of_other_kind(headers: Headers, labels: str) -> list[Quarantined]:
    """Structure sets where segmentations are labels. A segmentation beside contours is nobody's loss, and is said."""
    names: dict[str, list[str]] = defaultdict(list)
    for one in headers.segmentations:
        if one.kind != labels:
            names[one.kind].append(one.name)
    return [counted_files(kind, found) for kind, found in sorted(names.items())]


def _doubtful(every: Iterable[Series]) -> frozenset[str]:
    """PatientIDs that some series have with an issuer."""
    return frozenset(person_named(series.first.patient_id) for series in every if series.first.issuer)


def _site(series: Series, table: Table, row: Row | None, choice: Choice) -> tuple[SiteId, str]:
    if choice.site == BY_FOLDER:
        folders = {in_one_form(header.name.partition("/")[0]) for header in series.headers if "/" in header.name}
        if len(folders) != 1 or not all("/" in header.name for header in series.headers):
            return "", f"lies in the folders of several hospitals, or of none: {', '.join(sorted(folders))}"
        return folders.pop(), ""
    if choice.site == BY_INSTITUTION:
        names = {in_one_form(header.institution) for header in series.headers}
        name = min(names)
        if len(names) > 1 or (fault := fault_of(name)):
            return "", f"has several names in InstitutionName: {sorted(names)}" if len(names) > 1 else (
                f"has an InstitutionName that {fault}"
            )
        return name, ""
    if table.has_sites:
        return (row.site, "") if row else ("", f"is not named in {table.name}, so that it is of no hospital")
    return "", ""


def _by_series(
    segmentations: Iterable[Header], every: Sequence[Series]
) -> tuple[dict[str, list[Header]], list[Quarantined]]:
    """Segmentations of every series; those of a series that is not here."""
    found: dict[str, list[Header]] = defaultdict(list)
    lost = []
    uids = {series.uid for series in every}
    for segmentation in segmentations:
        own = sorted(segmentation.referenced & uids) or [
            series.uid
            for series in every
            if not segmentation.referenced and _shares_frame(segmentation, series.first)
        ]
        for uid in own:
            found[uid].append(segmentation)
        if not own:
            lost.append(Quarantined(segmentation.name, "is a segmentation of a series that is not here"))
    return found, lost


def _shares_frame(segmentation: Header, image: Header) -> bool:
    same = segmentation.frame_of_reference == image.frame_of_reference and segmentation.study == image.study
    return bool(segmentation.frame_of_reference) and same


def _fault_of_segmentations(series: Series, segmentations: Iterable[Header]) -> str:
    first = series.first
    for one in segmentations:
        if one.patient_id != first.patient_id:
            return f"has a segmentation, {one.name}, that names another patient"
        if one.frame_of_reference and first.frame_of_reference and one.frame_of_reference != first.frame_of_reference:
            return f"has a segmentation, {one.name}, in another frame of reference"
    return ""


def _rows_without_series(table: Table, every: Iterable[Series]) -> list[tuple[SiteId, Quarantined]]:
    used = {row.line for series in every if (row := table.row_of(series.first))}
    lost = [row for row in table.rows.values() if row.line not in used]
    return [(row.site, Quarantined(row.key, f"{table.name} names it, and there is no series of it")) for row in lost]


def _sites_of_folders(chosen: Iterable[Chosen]) -> dict[str, SiteId]:
    """The hospital that most files of a folder are of: what is broken there is most likely its own."""
    votes: dict[str, Counter[SiteId]] = defaultdict(Counter)
    for one in chosen:
        for header in one.series.headers:
            votes[_folder(header.name)][one.site] += 1
    return {folder: min(counts, key=lambda site: (-counts[site], site)) for folder, counts in votes.items()}


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _descriptions(every: Iterable[Series]) -> str:
    counts = Counter(f"{one.first.modality or '?'} {one.first.description!r}" for one in every)
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(12))
