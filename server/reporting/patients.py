"""`patients.json`: what the model says of single test patients of a simulation, read with care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.data.names import SiteId
from server.reporting.details import Interval, interval_of
from server.reporting.values import counts, items, number, numbers, table, text, texts

MOST_CASES, MOST_CLASSES, MOST_CELLS = 5_000, 32, 100
"""What our own records have at most, or more: of a stranger's, more would keep the page from ever being done."""


@dataclass(frozen=True)
class Patient:
    """One test patient, and what the model scores on it alone."""

    site: SiteId
    name: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Gain:
    """A hospital's headline, federated minus its own model's, on so many of its patients, and its 95 % interval."""

    value: float
    low: float
    high: float
    patients: int


@dataclass(frozen=True)
class Answers:
    """Case by case what is true, and what the model answers. Columns that a kind has not are empty.

    kind: "classes", with the chance of each class; "numbers"; "survival", with a risk, a time and whether the event
    came; "" where there are none.
    """

    kind: str = ""
    sites: tuple[SiteId, ...] = ()
    patients: tuple[str, ...] = ()
    true: tuple[float, ...] = ()
    answers: tuple[float, ...] = ()
    chances: tuple[tuple[float, ...], ...] = ()
    risks: tuple[float, ...] = ()
    events: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A group of persons. scores: empty where it is too small to be told."""

    column: str
    name: str
    persons: int
    scores: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Represented:
    """How many persons of a cell each hospital holds in all; name "" for those of no cell."""

    column: str
    name: str
    hospitals: Mapping[SiteId, int]


@dataclass(frozen=True)
class PatientRecord:
    """Everything of `patients.json`. why_not: why single patients were not looked at."""

    split: str = "test"
    why_not: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    patients: tuple[Patient, ...] = ()
    gains: Mapping[SiteId, Gain] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    subgroups: tuple[Cell, ...] = ()
    represented: tuple[Represented, ...] = ()


def patients_of(value: object) -> PatientRecord | None:
    """None where there is no such file; what is damaged in it is left out."""
    raw = table(value)
    if not raw:
        return None
    rows = [
        Patient(text(one.get("site")), text(one.get("patient")), numbers(one.get("scores")))
        for one in _tables(raw, "patients")
    ]
    return PatientRecord(
        text(raw.get("split")) or "test",
        text(raw.get("why_not")),
        intervals_of(raw.get("intervals")),
        tuple(one for one in rows if one.site),
        {site: gain for site, one in table(raw.get("gains")).items() if (gain := _gain(one)) is not None},
        _answers(table(raw.get("cases"))),
        cells_of(raw.get("subgroups")),
        tuple(
            Represented(text(one.get("column")), text(one.get("cell")), counts(one.get("hospitals")))
            for one in _tables(raw, "represented")[:MOST_CELLS]
        ),
    )


def intervals_of(value: object) -> dict[str, Interval]:
    """By score."""
    found = {name: interval_of(ends) for name, ends in table(value).items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def cells_of(value: object) -> tuple[Cell, ...]:
    """Groups with their scores, as `final.json` and `patients.json` have them."""
    return tuple(
        Cell(
            text(one.get("column")),
            text(one.get("cell")),
            counts({"persons": one.get("persons")})["persons"],
            numbers(one.get("scores")),
            intervals_of(one.get("intervals")),
        )
        for one in map(table, items(value)[:MOST_CELLS])
        if text(one.get("column"))
    )


def _tables(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return list(map(table, items(raw.get(name))))


def _gain(value: object) -> Gain | None:
    found = [number(one) for one in items(value)]
    if len(found) != 4 or any(one is None for one in found):
        return None
    value_, low, high, patients = (float(one or 0.0) for one in found)
    return Gain(value_, low, high, int(patients))


def _answers(raw: Mapping[str, Any]) -> Answers:
    """All columns of one length, or none at all."""
    kind = text(raw.get("kind"))
    true = _floats(raw.get("true"))
    found = Answers(
        kind,
        texts(raw.get("site")),
        texts(raw.get("patient")),
        true,
        _floats(raw.get("answer")),
        tuple(_floats(row) for row in items(raw.get("chances"))),
        _floats(raw.get("risk")),
        tuple(one > 0 for one in _floats(raw.get("event"))),
    )
    needed = {"classes": (found.chances,), "numbers": (found.answers,), "survival": (found.risks, found.events)}
    columns = (found.sites, found.patients, *needed.get(kind, ()))
    whole = kind in needed and 0 < len(true) <= MOST_CASES and all(len(one) == len(true) for one in columns)
    widths = {len(row) for row in found.chances}
    classes = len(found.chances[0]) if found.chances else 0
    fits = kind != "classes" or (
        len(widths) == 1 and classes <= MOST_CLASSES and all(one == int(one) and 0 <= one < classes for one in true)
    )
    return found if whole and fits else Answers()


def _floats(value: object) -> tuple[float, ...]:
    found = [number(one) for one in items(value)]
    return tuple(one for one in found if one is not None)
