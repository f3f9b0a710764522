"""Scans: what a case is made of, whose it is and of which hospital; and what cannot become a case, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from client.sources._persons import is_bids, person_named, person_of_file, refuse_doubtful, refuse_several
from client.sources._site_table import KeptColumns, Listed
from common.data.cases import Quarantined, SiteId
from common.data.names import in_one_form

REMEDY = "add a column person to the table, or put {person} into source.images, for a whole name if each is somebody"


@dataclass(frozen=True)
class Scan:
    """name: of the case. images: one file a channel. labels: one file of all classes, or one a class, or none.

    consent: what the table says of the person's; None where no table says anything of anybody's. kept: columns that
    the case hands on, and what the table has there.
    """

    name: str
    person: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    consent: str | None = None
    kept: KeptColumns = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files it is made of."""
        return (*self.images, *self.labels)


@dataclass(frozen=True)
class Unusable:
    """What cannot become a case: its name, why, and its files, as far as there are any."""

    name: str
    reason: str
    files: tuple[Path, ...] = ()

    @property
    def quarantined(self) -> Quarantined:
        """As a hospital's cases have it."""
        return Quarantined(self.name, self.reason)


@dataclass(frozen=True)
class Found:
    """A scan as its files' names tell of it, before a table is asked.

    name: without an ending, as a table may call it. others: further names for it. fields: named parts of its
    pattern. fault: why it cannot be used, or "".
    """

    name: str
    images: tuple[Path, ...] = ()
    labels: tuple[Path, ...] = ()
    others: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def site(self) -> SiteId:
        """The field {site}, or ""."""
        return in_one_form(self.fields.get("site", ""))

    @property
    def says_person(self) -> bool:
        """Whether its name says whose it is."""
        return "person" in self.fields or {"patient", "session"} <= self.fields.keys() or is_bids(self.name)

    @property
    def person(self) -> str:
        """Whose it is: the field {person}, {patient} where there are sessions, BIDS' `sub-`, or the scan itself."""
        if "person" in self.fields:
            return person_named(self.fields["person"])
        if {"patient", "session"} <= self.fields.keys():
            return person_named(self.fields["patient"])
        return person_of_file(self.fields.get("patient", self.name))


Sorted = Mapping[SiteId, tuple[Scan | Unusable, ...]]


def by_site(
    found: Sequence[Found], table: Mapping[str, Listed] | None, table_name: str, demanded: bool = True
) -> Sorted:
    """Scans of every hospital in the order of their names; under "" where nothing tells of hospitals.

    What belongs to no hospital (files that the table does not name, lines that name none) is put aside at the first
    one, so that it is counted once. demanded: whether the table must name every scan.
    """
    refuse_doubtful((one.person for one in found if one.says_person), "the folder")
    if table is None or not any(row.says_person for row in table.values()):
        refuse_several((one.name for one in found if not one.says_person), REMEDY)
    rows = _without_table(found) if table is None else _with_table(found, table, table_name, demanded)
    sites = sorted({site for site, _ in rows if site}) or [""]
    sorted_scans: dict[SiteId, list[Scan | Unusable]] = {site: [] for site in sites}
    for site, one in sorted(rows, key=_name_of):
        sorted_scans[site or sites[0]].append(one)
    return {site: tuple(scans) for site, scans in sorted_scans.items()}


def _name_of(row: tuple[SiteId, Scan | Unusable]) -> tuple[str, str]:
    return row[1].name, row[1].reason if isinstance(row[1], Unusable) else row[1].person


def _without_table(found: Iterable[Found], consent: str | None = None) -> list[tuple[SiteId, Scan | Unusable]]:
    return [(one.site, _used(one, one.name, one.person, consent)) for one in found]


def _with_table(
    found: Sequence[Found], table: Mapping[str, Listed], table_name: str, demanded: bool
) -> list[tuple[SiteId, Scan | Unusable]]:
    lasts = Counter(one.name.rpartition("/")[2] for one in found)
    unsaid = "" if any(row.consent is not None for row in table.values()) else None
    rows: list[tuple[SiteId, Scan | Unusable]] = []
    named: Counter[str] = Counter()
    for one in found:
        name = _row_of(one, table, lasts)
        if name is None:
            unnamed = f"{table_name} does not name it" if demanded else ""
            rows += _without_table([replace(one, fault=one.fault or unnamed)], unsaid)
            continue
        named[name] += 1
        rows.append(_listed(one, name, table[name]))
    rows += [(table[name].site, _absent(name, table_name, lasts)) for name in table if not named[name]]
    return rows


def _listed(one: Found, name: str, row: Listed) -> tuple[SiteId, Scan | Unusable]:
    person = row.person if row.says_person or not one.fields else one.person
    site = row.site or one.site
    used = replace(one, fault=one.fault or row.fault)
    return site, _used(used, one.name if one.fields else name, person, row.consent, row.kept)


def _used(one: Found, name: str, person: str, consent: str | None, kept: KeptColumns = ()) -> Scan | Unusable:
    if one.fault:
        return Unusable(name, one.fault, (*one.images, *one.labels))
    return Scan(name, person, one.images, one.labels, consent, kept)


def _row_of(one: Found, table: Mapping[str, Listed], lasts: Mapping[str, int]) -> str | None:
    """The line that names a scan: by its name, its last part where no other has that, or its patient or person."""
    last = one.name.rpartition("/")[2]
    names = [one.name, *one.others, *([last] if lasts[last] == 1 else [])]
    names += [one.fields[key] for key in ("patient", "person") if key in one.fields]
    return next((name for name in names if name in table), None)


def _absent(name: str, table_name: str, lasts: Mapping[str, int]) -> Unusable:
    if lasts[name] > 1:
        return Unusable(name, f"{table_name} names it, and {lasts[name]} files end so: write its folders too")
    return Unusable(name, f"{table_name} names it, and there is no file of it")
