"""Tables of patients, CSV or Parquet: one of each hospital, or one of all with a column that names hospitals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from client.consent import consent_column
from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import Source
from client.sources._asked import asked_columns, levels_of
from client.sources._folders import existing
from client.sources._persons import PERSON_COLUMNS
from client.sources._table_cases import Part, Plan, cases_of, found_reading, hospital_scaled
from client.sources._table_columns import Feature, Levels, Number, Reading, matching, text_of
from client.sources._table_files import Row, Rows, read_rows, table_files
from client.sources._table_layout import (
    found_features,
    found_person_column,
    inside_name,
    refuse_absent,
    refuse_nameless_persons,
)
from client.sources._table_new import NewRows, found_learned
from client.sources._table_numbers import THOUSANDS, Convention
from client.sources._table_options import constants_of, numbers_of, scales_of, units_of, words_of
from client.sources._table_records import records_of_rows
from client.sources._table_targets import Class, Quantity, Survival, Target
from client.sources._table_text import AUTO
from common.asking.records import Records
from common.data.cases import Cases, SiteId
from common.data.names import fault_of, in_one_form, refuse_alike
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.study.checks import one_of
from common.study.spelling import unknown

REMEDY = "Name the folder of your tables: --set source.folder=..."
MOST_CLASSES = 1000
CLASSES = Pooled(
    "the names of the classes from all labels",
    "source.classes = []",
    "name them all, in an order, in source.classes",
)
NUMBERS = Pooled(
    "how a table writes its numbers from all of them",
    "source.decimal = 'auto'",
    "set source.decimal to '.' or ','",
)
SCALING = Pooled(
    "means and deviations of each hospital's rows",
    "source.scaling = 'hospital'",
    "name each column's center and spread in source.scaling",
)


@dataclass(frozen=True)
class Table:
    """Every row is a case. A row that cannot be used is quarantined under its file and line, with the reason.

    file: the one table in `folder`, whose column `site` names each row's hospital (without one, a study divides the
    persons). Without `file`, each table in the folder (.csv, .tsv, .txt, .parquet) is the hospital of the file's
    name, or holds the hospitals of its column `site`. person: the column that names whose a row is; where not given
    person, subject, participant_id or patient, if there is one, and else every row is a person of its own.

    target: "class", one of `classes` in the column `label` (where no classes are named, all that the tables hold, by
    name); "number", the number in `label`; "survival", the number in `time` under observation, ended by the `event`
    (0 or 1, or the two words of `events`) or not. split: a column that says train, validation or test.
    consent_column: the column that says which studies a person consents to, as `client.consent` has it; where not
    given `consent`, if there is one.
    features: columns to learn from, in this order; if not given, all that nothing else names, by name. In a study
    of real hospitals name them: no hospital sees another's columns. ignore: columns to leave out. keep: columns that
    the cases hand on as words, learned from or not; what report.subgroups names is added by itself. asked: columns
    that questions may read beside these, and what they hold: { bmi = "number", ward = "words", sex = ["f", "m"] }.

    categorical: of columns of words, their levels: sex = ["f", "m"]. They become indicators of all but the first;
    any other word is quarantined. All other columns hold numbers. units: a unit that a column's cells may carry.
    missing: codes that stand for no value, in every column; missing_in: in one. An empty cell is always missing.
    impute: the constant that stands in for a column's missing values, while a further column tells that it did; a
    row that lacks another value is quarantined. -9, 999 and the like, and 0 of what nobody has none of, are
    quarantined as well, unless `measured` names them as values of a column.
    unusable: "refuse" ends the run at the first row that cannot be used.
    scaling: public constants of columns, { center, spread } or { low, high }; "hospital" takes the mean and deviation
    of each hospital's own rows; "none".

    encoding, delimiter: found out ("auto") or named. decimal: "." or ","; "auto" finds it in each file's numbers,
    with the mark between thousands, and refuses what is doubtful. thousands: beside a decimal mark that is named.

    label: the column of what is to be predicted. classes: its words, in order. time: the column of times under
    observation. event: that of whether they ended in the event. events: the two words of that column, no event
    first; () where it holds 0 and 1.
    """

    new_kinds: ClassVar[tuple[Kind, ...]] = ("table",)
    sites_by: ClassVar[str] = "source.site, a column; or without source.file each table is a hospital's"

    folder: str = ""
    file: str = ""
    site: str = ""
    person: str = ""
    target: Literal["class", "number", "survival"] = "class"
    label: str = "label"
    classes: tuple[str, ...] = ()
    time: str = "time"
    event: str = "event"
    events: tuple[str, ...] = ()
    split: str = ""
    consent_column: str = ""
    features: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    categorical: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    missing_in: Mapping[str, Any] = field(default_factory=dict)
    impute: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    unusable: Literal["quarantine", "refuse"] = "quarantine"
    scaling: Literal["none", "hospital"] | Mapping[str, Any] = "none"
    encoding: str = AUTO
    delimiter: str = AUTO
    decimal: str = AUTO
    thousands: str = ""

    def __post_init__(self) -> None:
        one_of("source", (AUTO, ".", ","), decimal=self.decimal)
        if isinstance(self.scaling, str):
            one_of("source", ("none", "hospital"), scaling=self.scaling)
        if self.thousands and (self.decimal == AUTO or self.thousands not in set(THOUSANDS) - {self.decimal}):
            raise StudyError(
                "source.thousands is one of , . ' or a space, and goes with another mark in source.decimal; they are "
                f"{self.thousands!r} and {self.decimal!r}."
            )
        if self.delimiter != AUTO and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise StudyError(f"source.delimiter must be one character, such as ';'; it is {self.delimiter!r}.")
        if self.events and len(set(self.events)) != 2:
            raise StudyError("source.events names two words: of what was censored, and of the event.")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise StudyError(f"source.classes must name two classes or more, each once; it is {list(self.classes)}.")
        _ = self._reading(Convention()), self._features(self.features), self.levels
        for column in set(self.impute) & set(self.categorical):
            raise StudyError(
                f"source.impute is of numbers; for {column!r}, in source.categorical, name a level '' instead."
            )

    @property
    def has_sites(self) -> bool:
        """Whether files or a column name the hospitals."""
        return bool(self.site) or not self.file

    @property
    def persons(self) -> str:
        """The column, or what holds without one."""
        if self.person:
            return f"A person is who the table's column {self.person} names."
        return (
            f"A person is who the table's column {', '.join(PERSON_COLUMNS[:-1])} or {PERSON_COLUMNS[-1]} names; in "
            "a table without one each row is taken for a person of its own."
        )

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """What is found in all rows because a study does not name it."""
        found = {
            CLASSES: self.target == "class" and not self.classes,
            NUMBERS: self.decimal == AUTO,
            SCALING: self.scaling == "hospital",
        }
        return tuple(one for one, is_so in found.items() if is_so)

    def sites(self) -> tuple[SiteId, ...]:
        """Of the files' names or of the column, sorted."""
        if not self.has_sites:
            return ()
        files = self._files()
        if not self.site:
            return tuple(sorted(files))
        found = {self._site_of(row, rows) for rows in map(self._rows, files.values()) for row in rows.rows}
        refuse_alike("hospitals", found)
        return tuple(sorted(found))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """Rows of one hospital, in their order. inputs: (N, F); targets: (N,), or (N, 2) of survival.

        Raises SourceError where no row can be used, or a table's columns are not what the study names.
        """
        parts, plan = self._parts(site)
        return cases_of(parts, plan, site or "", self._is_strict)

    def records(self, site: SiteId | None, seed: int) -> Records:
        """The same rows as they were written: learned from, to be predicted, `keep` and `asked`."""
        parts, plan = self._parts(site)
        return records_of_rows(parts, plan, asked_columns(self.asked), site or "")

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """Of `asked`, `categorical` and `classes`."""
        named = {
            in_one_form(name): words for name, words in words_of("categorical", self.categorical, least=2).items()
        }
        known = {name: tuple(word for word in words if word) for name, words in named.items()}
        classes = {in_one_form(self.label): self.classes} if self.target == "class" and self.classes else {}
        return {**levels_of(asked_columns(self.asked)), **known, **classes}

    def _parts(self, site: SiteId | None) -> tuple[list[Part], Plan]:
        """A hospital's rows of every table, and what is read of each."""
        if site is not None and site not in self.sites():
            raise unknown("hospital", site, self.sites())
        files = self._files()
        own = [files[site]] if site is not None and not self.site else list(files.values())
        plan = self._plan(list(files.values()))
        return [self._part(self._rows(name), plan, site) for name in own], plan

    def scaled(self, cases: Cases) -> Cases:
        """Numbers at mean 0 and deviation 1 of these rows, where `scaling` says so."""
        if self.scaling != "hospital":
            return cases
        return hospital_scaled(cases, self._plan(list(self._files().values())).numbers)

    def input_names(self) -> tuple[str, ...]:
        """Names of the columns of `inputs`."""
        return tuple(name for one in self._plan(list(self._files().values())).features for name in one.names)

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase]:
        """The rows of a table; columns that are not learned from may be there or not, the target's too."""
        if self.scaling == "hospital":
            raise SourceError(
                "cannot be brought to the scale that was learned: each hospital scaled by its own rows "
                "(source.scaling = 'hospital'). Name each column's center and spread there, and train again"
            )
        path = new.paths[0]
        rows = read_rows(path.parent, path.name, list(map(in_one_form, self.features)), self.encoding, self.delimiter)
        named = (self.label, self.site, self.split, self.person, self.time, self.event, self.consent_column)
        names = tuple(map(in_one_form, self.features)) or found_learned(
            rows, {*map(in_one_form, (*named, *self.ignore))}, learned
        )
        marks = Convention(self.decimal, self.thousands)
        reading = self._reading(marks if self.decimal != AUTO and rows.delimiter else Convention())
        reader = NewRows(self._features(names), reading, self.decimal == AUTO, in_one_form(self.person))
        yield reader.case(new.name, rows, learned)

    @property
    def _is_strict(self) -> bool:
        return self.unusable == "refuse"

    def _part(self, table: Rows, plan: Plan, site: SiteId | None) -> Part:
        """One table's rows of a hospital, and how its cells are read."""
        refuse_absent(plan.columns, table.columns, table.name)
        marks = Convention(self.decimal, self.thousands)
        reading = self._reading(marks if self.decimal != AUTO and table.delimiter else Convention())
        if self.decimal == AUTO:
            reading = found_reading(table, plan, reading)
        if site is None or not self.site:
            return Part(table, table.rows, table.broken, reading)
        rows = [row for row in table.rows if self._site_of(row, table) == site]
        return Part(table, rows, self._broken_of(site, table), reading)

    def _broken_of(self, site: SiteId, table: Rows) -> list[Row]:
        """Rows of another length whose hospital still stands in its place; of the others, the first hospital's."""
        place, sites = table.place(in_one_form(self.site)), self.sites()
        named = [text_of(row.cells[place]) if place < len(row.cells) else "" for row in table.broken]
        return [
            row
            for row, name in zip(table.broken, named, strict=True)
            if (name if name in sites else sites[0]) == site
        ]

    def _plan(self, files: list[str]) -> Plan:
        """What is read of every row; where a study leaves it open, from all tables' headers and labels."""
        headers = [(name, _columns(*self._file(name))) for name in files]
        person = in_one_form(self.person) or found_person_column(headers)
        target = self._target(files)
        consent = {name: consent_column(cols, self.consent_column, name, self.ignore) for name, cols in headers}
        used = {person, *map(in_one_form, (self.site, self.split, *self.ignore)), *target.columns, *consent.values()}
        keep = tuple(map(in_one_form, self.keep))
        for name, columns in headers:
            needed = [*target.columns, *keep, *(one for one in (self.person, self.split) if one)]
            refuse_absent(needed, columns, name)
        names = tuple(map(in_one_form, self.features)) or found_features(headers, used - {""} | set(self.ignore))
        for option in (
            self.categorical,
            self.impute,
            self.units,
            self.measured,
            self.missing_in,
            _scaled(self.scaling),
        ):
            refuse_absent(option, [*names, *target.columns], "source.features")
        if self.features and not person:
            refuse_nameless_persons(headers, {*names, *used})
        return Plan(self._features(names), target, person, in_one_form(self.split), consent, keep)

    def _target(self, files: list[str]) -> Target:
        if self.target == "number":
            return Quantity(in_one_form(self.label))
        if self.target == "survival":
            return Survival(in_one_form(self.time), in_one_form(self.event), self.events)
        return Class(in_one_form(self.label), self.classes or self._found_classes(files))

    def _found_classes(self, files: list[str]) -> tuple[str, ...]:
        """All labels of all tables but codes for a missing one, sorted: numbers by size, then words."""
        label, reading = in_one_form(self.label), self._reading(Convention())
        found: set[str] = set()
        for name in files:
            refuse_absent([label], _columns(*self._file(name)), name)
            found |= {word for word in _words(label, *self._file(name)) if not reading.is_missing(word, label)}
        found = _once(found)
        refuse_alike(f"labels in column {label!r}", found, "name each class once in source.classes")
        if not 2 <= len(found) <= MOST_CLASSES:
            raise SourceError(
                f"column {label!r} holds {len(found)} different labels ({', '.join(sorted(found)[:5])}): a study of "
                "classes needs two or more. Name them in source.classes, or set source.target to 'number'."
            )
        return tuple(
            sorted(found, key=lambda word: (Convention().number(word) is None, Convention().number(word) or 0, word))
        )

    def _features(self, names: Iterable[str]) -> tuple[Feature, ...]:
        levels, imputed = words_of("categorical", self.categorical, least=2), constants_of("impute", self.impute)
        scales = scales_of(self.scaling)
        return tuple(
            Levels(name, levels[name]) if name in levels else Number(name, scales.get(name), imputed.get(name))
            for name in names
        )

    def _reading(self, convention: Convention) -> Reading:
        missing_in, measured = words_of("missing_in", self.missing_in), numbers_of("measured", self.measured)
        return Reading(convention, self.missing, missing_in, units_of(self.units), measured)

    def _files(self) -> dict[str, str]:
        """Names of the tables, by hospital where each is one's. Raises SourceError where there is none."""
        folder = self._place
        if self.file:
            return {self.file: inside_name(self.file)}
        found = table_files(folder)
        if not found:
            raise SourceError(f"{folder} holds no table (.csv, .tsv, .txt, .parquet). {REMEDY}")
        for stem, name in found.items():
            if not self.site and (fault := fault_of(stem)):
                raise SourceError(f"{name} in {folder} is to be a hospital's, whose name {fault}: rename the file.")
        if not self.site:
            refuse_alike("hospitals", found)
        return found

    @property
    def _place(self) -> Path:
        if self.folder and (path := Path(self.folder)).is_file():
            raise SourceError(
                f"source.folder is a file: set source.folder = {str(path.parent)!r} and source.file = {path.name!r}."
            )
        return existing(self.folder, "table", REMEDY)

    def _rows(self, name: str) -> Rows:
        return _read(*self._file(name))

    def _file(self, name: str) -> _File:
        expected = [self.person, self.site, self.split, self.consent_column, *self.features, *self.categorical]
        expected += [self.time, self.event] if self.target == "survival" else [self.label]
        folder = self._place
        path = folder / name
        found = path.stat() if path.is_file() else None
        version = (found.st_mtime_ns, found.st_size) if found else (0, 0)
        return folder, name, tuple(one for one in expected if one), self.encoding, self.delimiter, version

    def _site_of(self, row: Row, table: Rows) -> SiteId:
        refuse_absent([self.site], table.columns, table.name)
        name = text_of(row.cells[table.place(in_one_form(self.site))])
        fault = fault_of(name)
        if fault or matching(name, self.missing) is not None:
            raise SourceError(
                f"line {row.line} of {table.name} does not name a hospital in column {self.site!r}: its name "
                f"{fault or 'is a code for a missing value'}."
            )
        return name


_File = tuple[Path, str, tuple[str, ...], str, str, tuple[int, int]]
"""Folder, name, columns that are expected, encoding, delimiter, and when the file was changed and how long it is."""


@lru_cache(maxsize=8)
def _read(
    folder: Path, name: str, expected: tuple[str, ...], encoding: str, delimiter: str, version: tuple[int, int]
) -> Rows:
    """A table, kept for the other hospitals that are in it; a changed file is read again."""
    return read_rows(folder, name, expected, encoding, delimiter)


@lru_cache(maxsize=4096)
def _columns(*file: Any) -> tuple[str, ...]:
    return _read(*file).columns


@lru_cache(maxsize=4096)
def _words(column: str, *file: Any) -> frozenset[str]:
    """All different words of a column."""
    table = _read(*file)
    place = table.place(column)
    return frozenset(text_of(row.cells[place]) for row in table.rows)


def _scaled(scaling: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {} if isinstance(scaling, str) else scaling


def _once(labels: Iterable[str]) -> set[str]:
    """Each number in its shortest way: hospitals whose programs write 1 and 1.0 mean one class."""
    found: dict[str | float, str] = {}
    for label in sorted(labels, key=len):
        value = Convention().number(label)
        found.setdefault(label if value is None else value, label)
    return set(found.values())


source: type[Source] = Table
