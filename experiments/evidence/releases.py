"""A release of a study's patients that was named for an audit, and the patients whose rows may be in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.records import records_of
from common.asking.records import Records, Values
from common.data.cases import SiteId
from common.errors import StudyError, WardroundError
from common.files.json_files import read_table as read_json
from common.seeding import generator
from common.study.study import Study
from experiments.anonymising.table import read_table
from experiments.evidence.ground_truth import hospital_of

SUMMARY = "summary.json"
NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
RANGES = tuple(
    re.compile(pattern.replace("#", NUMBER))
    for pattern in (r"#(?: to |-|\.\.)#", r"# to below #", r"\[\s*#\s*,\s*#\s*[\])]", r"(?:>=\s*)?#(?: or more|\+)")
)
BELOW = tuple(re.compile(pattern.replace("#", NUMBER)) for pattern in (r"(?:below |<\s*)#", r"(?:<=\s*)?# or less"))
DAYS = re.compile(r"(\d{4}-\d{2}-\d{2}) to (\d{4}-\d{2}-\d{2})")
ANYBODY = frozenset({"*", "any", "suppressed", ""})


@dataclass(frozen=True)
class Released:
    """rows: (M,) words of each column as released. quasi: columns made alike. side: tolerance of each other column
    that is known of people. sensitive: what nobody is to learn, "" where that is not said. known: (N,) of each
    person, by column, what an adversary knows.
    """

    rows: Mapping[str, NDArray[np.str_]]
    quasi: tuple[str, ...]
    side: Mapping[str, float]
    sensitive: str
    known: Mapping[str, Values]

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    @property
    def people(self) -> int:
        """How many are looked for."""
        return len(next(iter(self.known.values())))


@dataclass(frozen=True)
class AuditedRelease:
    """released: what an adversary has. people: whole rows of those who are looked for, in the same order."""

    released: Released
    people: Records
    sites: tuple[SiteId, ...]

    def as_it_was(self) -> Released:
        """The same people's rows with nothing made alike: what any search must see."""
        rows = {name: self.people.words(name) for name in self.released.rows if name in self.people.columns}
        return replace(self.released, rows=rows)


def release_of_study(path: Path, study: Study, sites: Sequence[SiteId]) -> AuditedRelease:
    """A table that was released, with summary.json beside it, which says what is known of its people.

    Raises StudyError where it says no such thing, or the study's hospitals have no such columns.
    """
    table, said = read_table(path), read_json(path.parent, SUMMARY)
    quasi, side, sensitive = _said(path, said)
    table.demand((*quasi, *side, *([sensitive] if sensitive else ())))
    try:
        parts = [records_of(hospital_of(study, site)).one_a_person for site in sites]
        wanted = [name for name in table.columns if all(name in one.columns for one in parts)]
        missing = [name for name in (*quasi, *side, *([sensitive] if sensitive else ())) if name not in wanted]
    except WardroundError as error:
        raise StudyError(f"--release {path}: the study's hospitals have no records to look for: {error}") from None
    if missing:
        raise StudyError(f"--release {path}: the study's hospitals have no column {missing[0]!r}.")
    order = generator(study.seed, "people of a release").permutation(sum(map(len, parts)))
    people = _joined(parts, wanted).take(order)
    places = np.repeat(np.arange(len(parts)), [len(one) for one in parts])[order]
    known = {name: people.columns[name] for name in (*quasi, *side)}
    rows = {name: table.records.words(name) for name in table.columns}
    return AuditedRelease(
        Released(rows, quasi, side, sensitive, known), people, tuple(sites[place] for place in places.tolist())
    )


def fitting(said: str, values: Values) -> NDArray[np.bool_]:
    """(N,) whether each value may be what is released as `said`: a value, a range, a set, or a group of words.

    Ranges as `wardround anonymise` writes them, and [20, 30), 20-30, >=20. What is not known fits everything, and so
    does a word that is nobody's: the name of a group of which nobody knows the members.
    """
    text = said.strip()
    if text.startswith("unknown or "):
        return fitting(text.removeprefix("unknown or "), values)
    blank = np.isnan(values.astype(np.float64)) if values.dtype == np.float64 else values == ""
    if text == "unknown":
        return np.asarray(blank)
    if text.casefold() in ANYBODY:
        return np.ones(len(values), np.bool_)
    if values.dtype == np.float64:
        low, high = _range(text)
        numbers = values.astype(np.float64)
        return np.asarray(blank | ((numbers >= low) & (numbers <= high)))
    if days := DAYS.fullmatch(text):
        dates = values.astype(np.str_)
        return np.asarray(blank | ((dates >= days[1]) & (dates <= days[2])))
    members = text[1:-1].split(", ") if text.startswith("{") and text.endswith("}") else [text]
    found = np.isin(values, members)
    return np.asarray(found | blank) if found.any() or len(members) > 1 else np.ones(len(values), np.bool_)


def _range(text: str) -> tuple[float, float]:
    for pattern in RANGES:
        if found := pattern.fullmatch(text):
            ends = [float(one) for one in found.groups()]
            return ends[0], ends[-1] if len(ends) > 1 else inf
    for pattern in BELOW:
        if found := pattern.fullmatch(text):
            return -inf, float(found[1])
    try:
        return float(text), float(text)
    except ValueError:
        return -inf, inf


def _joined(parts: Sequence[Records], names: Sequence[str]) -> Records:
    columns: dict[str, Values] = {}
    for name in names:
        numeric = all(one.columns[name].dtype == np.float64 for one in parts)
        columns[name] = np.concatenate([one.columns[name] if numeric else one.words(name) for one in parts])
    return Records(columns, np.concatenate([one.persons for one in parts]))


def _said(path: Path, said: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, float], str]:
    quasi, side = said.get("quasi_identifiers"), said.get("side_knowledge", {})
    sensitive = said.get("sensitive", "")
    given = quasi if isinstance(quasi, list) else []
    names = [one for one in given if isinstance(one, str)]
    tolerances = list(side.values()) if isinstance(side, Mapping) else [-1]
    known = all(isinstance(by, (int, float)) and 0 <= by < inf for by in tolerances)
    if not names or len(names) < len(given) or not known or not isinstance(sensitive, str):
        raise StudyError(
            f"{path.parent / SUMMARY} must say of {path.name} its quasi_identifiers (a list), its side_knowledge "
            "(columns and tolerances) and its sensitive column, as `wardround anonymise` writes it."
        )
    return tuple(names), {str(name): float(by) for name, by in side.items()}, sensitive
