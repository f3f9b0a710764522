"""Survival over time (Kaplan-Meier) with Greenwood's intervals, medians, and what the time grid discloses."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses import _event_times as finding
from common.analyses._coefficients import demand_confidence
from common.analyses._indicator import demand_event, event_word
from common.analyses._survival_table import (
    LEAST_SPAN,
    UNTIL,
    SurvivalTable,
    disclosure,
    group_levels,
    group_of,
    leaving_sums,
    survival_table,
    told_groups,
)
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.exact_sums import Integers, Total
from common.asking.records import Records
from common.errors import StudyError
from common.study.spelling import unknown

INTERVALS = ("log-log", "log", "plain")
SHOWN_TIMES = 6
"""Below the curves, with how many are at risk."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Of one group, (T,) each; NaN where an interval has no end. median: None where more than half survive."""

    survival: Values
    error: Values
    low: Values
    high: Values
    median: float | None
    median_low: float | None
    median_high: float | None


@dataclass(frozen=True)
class KaplanMeier:
    """time: from the start until the event or the last sight. event: a column of 0 and 1, or of words of which
    `event_is` is the event. group: a column of which the levels are known, here as `levels = ["arm=a|b"]` or in the
    study. width: of the time grid, in the unit of time; 0: times as they are. until: for the restricted mean survival
    time; 0: none. interval: log-log, log or plain, of Greenwood's variance.

    event_is: of an event in words, the one that counts. levels: as `arm=a|b`, where the study does not name them.
    confidence: of the intervals, as 0.95.
    """

    discloses: ClassVar[str] = (
        "By group, at every time of an event on the grid, how many had it and how many were last seen since the time "
        "before; with times as they are, each is some person's."
    )
    without_noise: ClassVar[str] = "its rounds close in on single times, and its intervals do not count noise."
    compared: ClassVar[str] = "group"
    time: str
    event: str
    group: str = ""
    width: float = 0.0
    event_is: str = ""
    levels: tuple[str, ...] = ()
    interval: str = "log-log"
    until: float = 0.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        finding.demand_width(self.width)
        demand_confidence(self.confidence)
        demand_event(self.event_is)
        if self.interval not in INTERVALS:
            raise unknown("kind of interval", self.interval, INTERVALS)
        if not 0 <= self.until < float("inf"):
            raise StudyError(f"until must be 0, for none, or a time above 0; not {self.until:g}.")

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A few rounds find the times of events, one more counts."""
        groups = group_levels(self.group, self.levels, public)
        told: dict[str, Told] = {"event": (event_word(self.event, self.event_is, public),), "groups": groups}
        found = yield from finding.event_times(self.width, told)
        told |= {"width": np.array([self.width])}
        told |= {UNTIL: np.array([self.until])} if self.until else {}
        table = yield from survival_table(found.times, groups, told)
        return self._answer(table.some(table.sizes > 0), found.missing)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Counts of events between times, or of who left when."""
        groups = told_groups(query)
        group = group_of(records, self.group, groups)
        found = finding.followed(records, self.time, self.event, query, group >= 0)
        if query.step in finding.STEPS:
            return finding.event_times_sums(query, found)
        return leaving_sums(query, found, group[found.keep], len(groups))

    def _answer(self, table: SurvivalTable, missing: int) -> Answer:
        curves = [
            curve_of(table.times, table.at_risk[g], table.events[g], self.interval, self.confidence)
            for g in range(len(table.groups))
        ]
        names = [f"{self.group}={word}" if self.group else "everybody" for word in table.groups]
        shown, figure, alone = disclosure(table, self.width)
        means = [self._restricted(table, g, curve) for g, curve in enumerate(curves)]
        numbers: dict[str, Any] = {
            "n": int(table.sizes.sum()),
            "missing": missing,
            "times": table.times.tolist(),
            "groups": {name: _group_numbers(table, g, curves[g], means[g]) for g, name in enumerate(names)},
            "disclosure": alone,
        }
        tables = (self._summary(table, names, curves, means), *_over_time(table, names, curves), shown)
        words = (*self._words(table, names, curves), _alone_words(alone, self.width))
        unknown_means = [name for name, mean in zip(names, means, strict=True) if self.until and mean is None]
        if unknown_means:
            of = f" of {', '.join(unknown_means)}" if self.group else ""
            words += (f"Nobody{of} was followed until {self.until:g}: no mean up to then.",)
        if missing:
            words += (f"{missing} rows are left out: a time, event or group is missing.",)
        return Answer(numbers, tables, (self._figure(table, names, curves), figure), words)

    def _restricted(self, table: SurvivalTable, g: int, curve: Curve) -> tuple[float, float] | None:
        """None, too, where nobody was followed so long and some are without the event: the curve ends before."""
        ended = len(curve.survival) > 0 and curve.survival[-1] == 0
        if not self.until or not (table.followed[g] or ended):
            return None
        return restricted_mean(table.times, table.at_risk[g], table.events[g], curve.survival, self.until)

    def _summary(
        self, table: SurvivalTable, names: list[str], curves: list[Curve], means: list[tuple[float, float] | None]
    ) -> Table:
        per_cent = f"{100 * self.confidence:g} %"
        header: tuple[str, ...] = ("", "n", "events", "median", f"{per_cent} from", "to")
        if self.until:
            header += (f"mean until {self.until:g}", "standard error")
        rows: list[tuple[Cell, ...]] = []
        for g, (name, curve) in enumerate(zip(names, curves, strict=True)):
            row = (name, int(table.sizes[g]), int(table.events[g].sum()))
            mean = (means[g] or (None, None)) if self.until else ()
            rows.append((*row, curve.median, curve.median_low, curve.median_high, *mean))
        events = table.events.sum(axis=1)
        persons = tuple(
            (0, int(n), int(came), *(0,) * (len(header) - 3)) for n, came in zip(table.sizes, events, strict=True)
        )
        return Table(f"Survival by {self.group}" if self.group else "Survival", header, tuple(rows), persons=persons)

    def _words(self, table: SurvivalTable, names: list[str], curves: list[Curve]) -> tuple[str, ...]:
        said = []
        for g, (name, curve) in enumerate(zip(names, curves, strict=True)):
            events, size = int(table.events[g].sum()), int(table.sizes[g])
            if not events:
                said.append(f"{name}: no event in {size} persons.")
            elif curve.median is None:
                last = float(curve.survival[-1])
                said.append(
                    f"{name}: {events} events in {size} persons; {100 * last:.0f} % are free of it at the end."
                )
            else:
                said.append(f"{name}: {events} events in {size} persons; half of them by {curve.median:g}.")
        return tuple(said)

    def _figure(self, table: SurvivalTable, names: list[str], curves: list[Curve]) -> Figure:
        x = (0.0, *table.times.tolist())
        series = tuple(
            Series(
                name,
                x,
                (1.0, *numbers_or_none(c.survival)),
                (1.0, *numbers_or_none(c.low)),
                (1.0, *numbers_or_none(c.high)),
                (int(table.sizes[g]), *(table.at_risk[g] - table.events[g]).tolist()),
            )
            for g, (name, c) in enumerate(zip(names, curves, strict=True))
        )
        return Figure("steps", "Kaplan-Meier", self.time, "without the event", series)


def curve_of(
    times: Values, at_risk: NDArray[np.int64], events: NDArray[np.int64], kind: str, confidence: float
) -> Curve:
    """Kaplan and Meier 1958; Greenwood 1926; intervals of the logarithm, or of the logarithm of minus it."""
    risk, came = at_risk.astype(np.float64), events.astype(np.float64)
    some = risk > 0
    survival = np.multiply.accumulate(np.where(some, 1 - came / np.where(some, risk, 1.0), 1.0))
    left = risk - came
    terms = np.where(came > 0, came / np.where((risk > 0) & (left > 0), risk * left, 1), 0.0)
    root = np.sqrt(np.add.accumulate(terms))
    error = np.where(survival > 0, survival * root, np.nan)
    low, high = _interval(survival, root, kind, float(stats.norm.ppf(0.5 + confidence / 2)))
    medians = [_first_at_most_half(times, values) for values in (survival, low, high)]
    return Curve(survival, error, low, high, *medians)


def restricted_mean(
    times: Values, at_risk: NDArray[np.int64], events: NDArray[np.int64], survival: Values, until: float
) -> tuple[float, float]:
    """The mean time without the event up to `until`, and its standard error (Klein and Moeschberger 2003, 4.5.2)."""
    inside = times < until
    edges = np.concatenate([[0.0], times[inside], [until]])
    levels = np.concatenate([[1.0], survival[inside]])
    areas = np.diff(edges) * levels
    after = np.cumsum(areas[::-1])[::-1][1:]
    risk, came = at_risk[inside].astype(np.float64), events[inside].astype(np.float64)
    left = np.where(risk > came, risk - came, 1) * np.where(risk > 0, risk, 1)
    return float(areas.sum()), float(np.sqrt(np.sum(after**2 * np.where(risk > came, came / left, 0))))


def numbers_or_none(values: Values) -> tuple[float | None, ...]:
    """NaN is None, as JSON has it."""
    return tuple(None if np.isnan(value) else value for value in values.tolist())


def _interval(survival: Values, root: Values, kind: str, quantile: float) -> tuple[Values, Values]:
    inner = (survival > 0) & (survival < 1)
    safe = np.where(inner, survival, 0.5)
    if kind == "plain":
        low, high = np.clip(safe - quantile * safe * root, 0, 1), np.clip(safe + quantile * safe * root, 0, 1)
    elif kind == "log":
        low, high = safe * np.exp(-quantile * root), np.minimum(safe * np.exp(quantile * root), 1)
    else:
        shift = quantile * root / -np.log(safe)
        low, high = safe ** np.exp(shift), safe ** np.exp(-shift)
    ends = np.where(survival >= 1, 1.0, np.nan)
    return np.where(inner, low, ends), np.where(inner, high, ends)


def _first_at_most_half(times: Values, values: Values) -> float | None:
    below = np.flatnonzero(values <= 0.5 + 1e-12)
    return float(times[below[0]]) if len(below) else None


def _group_numbers(table: SurvivalTable, g: int, curve: Curve, mean: tuple[float, float] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n": int(table.sizes[g]),
        "events": table.events[g].tolist(),
        "at_risk": table.at_risk[g].tolist(),
        "censored": table.censored[g].tolist(),
        "survival": curve.survival.tolist(),
        "standard_error": list(numbers_or_none(curve.error)),
        "low": list(numbers_or_none(curve.low)),
        "high": list(numbers_or_none(curve.high)),
        "median": curve.median,
        "median_low": curve.median_low,
        "median_high": curve.median_high,
    }
    if mean is not None:
        found |= {"restricted_mean": mean[0], "restricted_mean_error": mean[1]}
    return found


def _over_time(table: SurvivalTable, names: list[str], curves: list[Curve]) -> tuple[Table, ...]:
    """At round times: how many are at risk, and the share without the event."""
    last = float(table.times[-1]) if len(table.times) else 0.0
    step = _round_step(last / (SHOWN_TIMES - 1)) if last > LEAST_SPAN else 1.0
    shown = [k * step for k in range(int(last / step) + 1)]
    header = ("time", *(f"{time:g}" for time in shown))
    risk: list[tuple[Cell, ...]] = []
    free: list[tuple[Cell, ...]] = []
    persons: list[tuple[int, ...]] = []
    for g, (name, curve) in enumerate(zip(names, curves, strict=True)):
        survival = np.concatenate([[1.0], curve.survival])
        left = tuple(_at(table.times, table.at_risk[g], table.sizes[g], time) for time in shown)
        risk.append((name, *left))
        persons.append((0, *left))
        free.append((name, *(float(survival[np.searchsorted(table.times, time, "right")]) for time in shown)))
    note = "At the next time of an event."
    of = tuple(persons)
    return (
        Table("At risk", header, tuple(risk), note, of),
        Table("Share without the event", header, tuple(free), persons=of),
    )


def _at(times: Values, at_risk: NDArray[np.int64], size: int, time: float) -> int:
    if time == 0:
        return int(size)
    place = int(np.searchsorted(times, time, side="left"))
    return int(at_risk[place]) if place < len(times) else 0


def _round_step(least: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten, at least this."""
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * (1 - 1e-9)))


def _alone_words(alone: Mapping[str, list[float]], width: float) -> str:
    how = f"on a grid of {width:g}" if width else "with times as they are"
    return f"{int(alone['events_alone'][0])} events stand alone {how}: each time is one person's."


analysis: type[Analysis] = KaplanMeier
