"""What `final.json` holds beside scores: intervals, and curves and counts of the answers, read with care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.reporting.values import count, items, number, numbers, table

Interval = tuple[float, float]


@dataclass(frozen=True)
class Bin:
    """Cases whose prediction lies in one bin: how many, the mean prediction, the mean of what happened."""

    cases: float
    predicted: float
    observed: float
    interval: Interval | None


@dataclass(frozen=True)
class Benefit:
    """Net benefit of deciding by the model at one threshold of its chance, and of treating everybody."""

    threshold: float
    model: float
    interval: Interval | None
    treat_all: float


@dataclass(frozen=True)
class Details:
    """Of all patients together on one split. intervals: 95 %, by score. patients: scored; 0 where not known.

    calibration: of chances; numbers: the same of a model that answers with numbers, in their own unit. line:
    intercept and slope of the calibration line. confusion: cases by true class and by answer.
    """

    intervals: Mapping[str, Interval] = field(default_factory=dict)
    patients: int = 0
    calibration: tuple[Bin, ...] = ()
    numbers: tuple[Bin, ...] = ()
    roc: tuple[tuple[float, float], ...] = ()
    decision: tuple[Benefit, ...] = ()
    line: tuple[float, float] | None = None
    confusion: tuple[tuple[int, ...], ...] = ()


def details_of(value: object) -> dict[str, Details]:
    """`final.json`, by split; what is damaged is left out."""
    return {split: _details(scores) for split, scores in table(value).items()}


def _details(value: object) -> Details:
    raw = table(value)
    curves = table(raw.get("curves"))
    intervals = {name: interval_of(ends) for name, ends in table(raw.get("intervals")).items()}
    line = numbers(curves.get("calibration_line"))
    points = (interval_of(point) for point in items(curves.get("roc")))
    rows = tuple(tuple(count(cell) for cell in items(row)) for row in items(curves.get("confusion")))
    return Details(
        {name: ends for name, ends in intervals.items() if ends is not None},
        count(raw.get("patients")),
        _bins(curves.get("calibration")),
        _bins(curves.get("calibration_of_numbers")),
        tuple(point for point in points if point is not None),
        _decision(curves.get("decision")),
        (line["intercept"], line["slope"]) if {"intercept", "slope"} <= set(line) else None,
        rows if all(len(row) == len(rows) for row in rows) else (),
    )


def interval_of(value: object) -> Interval | None:
    """Its ends; None for anything but two numbers."""
    found = [number(end) for end in items(value)]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return found[0], found[1]


def _bins(value: object) -> tuple[Bin, ...]:
    rows = ((numbers(row), interval_of(table(row).get("interval"))) for row in items(value))
    return tuple(
        Bin(row["cases"], row["predicted"], row["observed"], ends)
        for row, ends in rows
        if {"cases", "predicted", "observed"} <= set(row)
    )


def _decision(value: object) -> tuple[Benefit, ...]:
    rows = ((numbers(row), interval_of(table(row).get("interval"))) for row in items(value))
    return tuple(
        Benefit(row["threshold"], row["model"], ends, row["treat_all"])
        for row, ends in rows
        if {"threshold", "model", "treat_all"} <= set(row)
    )
