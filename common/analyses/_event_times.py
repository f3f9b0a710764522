"""The distinct times of events over all hospitals, found by rounds of counts: no hospital names one.

With a width, times are rounded up to its multiples, as if everybody had been seen at those visits alone. Without one
they are found exactly: as decimals where all are, else to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import array_of, numbers_of, words_of
from common.analyses._doubles import cuts_a_round
from common.analyses._indicator import happened
from common.asking.analysis import Query, Told
from common.asking.exact_sums import Integers, Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

RANGE, SEARCH = "range of times", "search of times"
STEPS = (RANGE, SEARCH)
DECIMALS = 7
"""Times of up to 6 digits after the point are looked for as such."""
POWERS = np.arange(-40, 61)
LARGEST_KEY = 1 << 52
MOST_TIMES = 100_000
ROUNDED = 1e-9
"""Of a width: a time so little above a multiple is that multiple."""

Times = NDArray[np.float64]
Span = tuple[int, int]
"""Of keys, the second not in it."""
Sums = dict[str, NDArray[np.integer] | Integers]


@dataclass(frozen=True)
class Followed:
    """(N,) times, rounded up to the width, and whether the event came; keep: which of the records those are.

    unfit: how many rows say what cannot be, a time below 0 or an event that is neither 0 nor 1; missing: other rows.
    """

    times: Times
    events: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    missing: int
    unfit: int


@dataclass(frozen=True)
class Found:
    """times: (T,) of events, ascending."""

    times: Times
    rows: int
    missing: int
    events: int
    rounds: int


def followed(
    records: Records, time: str, event: str, query: Query, known: NDArray[np.bool_] | None = None
) -> Followed:
    """A hospital's rows as the query wants them. known: rows of which all else that is needed is known."""
    times = numbers_of(records, time)
    events = happened(records, event, "".join(words_of(query.tells, "event")))
    there = np.isfinite(times) & np.isfinite(events)
    there = there if known is None else there & known
    fit = there & (times >= 0) & ((events == 0) | (events == 1))
    width = float(array_of(query.tells, "width")[0])
    kept = rounded_up(times[fit], width) if width > 0 else times[fit] + 0.0
    return Followed(
        kept,
        events[fit] > 0,
        fit,
        int(np.count_nonzero(~there)),
        int(np.count_nonzero(there) - np.count_nonzero(fit)),
    )


def rounded_up(times: Times, width: float) -> Times:
    """To multiples of the width."""
    return np.asarray(np.ceil(times / width - ROUNDED) * width + 0.0)


def demand_width(width: float) -> None:
    """Raise StudyError for what is no width of a grid."""
    if not (0 <= width < float("inf")):
        raise StudyError(f"width must be 0, for times as they are, or a span of time above 0; not {width:g}.")


def event_times(width: float, also: Mapping[str, Told]) -> Generator[Query, Total, Found]:
    """All rounds. also: told every time. Raises AnalysisError where rows say what cannot be, or there are none."""
    told: dict[str, Told] = {**also, "width": np.array([width])}
    edges = np.concatenate([[0.0], 2.0**POWERS * (width or 1.0)])
    parts = {
        "rows": counts(),
        "missing": counts(),
        "unfit": counts(),
        "events": counts(),
        "not decimal": counts(DECIMALS, most_by_one=float(DECIMALS)),
        "between": counts(len(edges) - 1),
    }
    total = yield Query(parts, {**told, "edges": edges}, RANGE)
    rows, missing, unfit, events = (int(total.count(name)) for name in ("rows", "missing", "unfit", "events"))
    if unfit:
        raise AnalysisError(f"{unfit} rows have a time below 0, or an event that is neither 0 nor 1.")
    if not rows:
        raise AnalysisError(f"of {missing} rows, none has a time, an event and all else that is asked for.")
    between = total.count("between")
    if int(between.sum()) < events:
        raise AnalysisError("a time is beyond what can be found: use another unit, or a larger width.")
    _demand_same(between, events)
    spans = [(float(edges[i]), float(edges[i + 1])) for i in np.flatnonzero(between).tolist()]
    clock = _clock(width, total.count("not decimal").tolist(), spans)
    keys = [(clock.key(low), clock.key(high)) for low, high in spans]
    several = [int(rows) for rows in between.tolist() if rows]
    times, rounds = yield from _searched(clock, dict(zip(keys, several, strict=True)), cuts_a_round(events), told)
    return Found(times, rows, missing, events, rounds + 1)


def event_times_sums(query: Query, found: Followed) -> Sums:
    """The hospital's half of those rounds."""
    times, edges = found.times[found.events], array_of(query.tells, "edges")
    between = _between(times, edges)
    if query.step == SEARCH:
        return {"between": between}
    return {
        "rows": np.array(len(found.times)),
        "missing": np.array(found.missing),
        "unfit": np.array(found.unfit),
        "events": np.array(len(times)),
        "not decimal": np.array([np.count_nonzero(~_decimal(times, digits)) for digits in range(DECIMALS)]),
        "between": between,
    }


@dataclass(frozen=True)
class _Clock:
    """Whole numbers for times, in their order."""

    nearly: Callable[[float], int]
    time: Callable[[int], float]

    def key(self, time: float) -> int:
        """Of the first time that is this one or after it."""
        key = self.nearly(time)
        while key > 0 and self.time(key - 1) >= time:
            key -= 1
        while self.time(key) < time:
            key += 1
        return key


def _clock(width: float, not_decimal: list[int], spans: list[tuple[float, float]]) -> _Clock:
    if width > 0:
        return _Clock(lambda time: int(time / width), lambda key: key * width)
    last = max((high for _, high in spans), default=0.0)
    for digits, others in enumerate(not_decimal):
        if not others and last * 10**digits < LARGEST_KEY:
            return _decimal_clock(10**digits)
    return _Clock(
        lambda time: int(np.float64(time).view(np.int64)), lambda key: float(np.int64(key).view(np.float64))
    )


def _decimal_clock(unit: int) -> _Clock:
    return _Clock(lambda time: int(time * unit), lambda key: key / unit)


def _searched(
    clock: _Clock, filled: dict[Span, int], cuts: int, told: Mapping[str, Told]
) -> Generator[Query, Total, tuple[Times, int]]:
    """Halve, and more than halve, the spans that have events until each is one time. filled: with their events.

    Raises AnalysisError where a round has other events than the one before, or more times than can be asked for.
    """
    rounds, done = 0, [low for low, high in filled if high - low == 1]
    while left := {span: events for span, events in filled.items() if span[1] - span[0] > 1}:
        if len(left) + len(done) > MOST_TIMES:
            raise AnalysisError(f"events are at more than {MOST_TIMES} different times: a width is needed.")
        pieces = _pieces(list(left), max(2, cuts // len(left)))
        keys = sorted({key for piece in pieces for key in piece})
        edges = np.array([clock.time(key) for key in keys])
        total = yield Query({"between": counts(len(keys) - 1)}, {**told, "edges": edges}, SEARCH)
        between = dict(zip(pairwise(keys), total.count("between").tolist(), strict=True))
        inside = np.array([between[piece] for piece in pieces])
        _demand_same(inside, sum(left.values()))
        filled = {piece: events for piece, events in zip(pieces, inside.tolist(), strict=True) if events}
        done += [low for low, high in filled if high - low == 1]
        rounds += 1
    return np.array([clock.time(key) for key in sorted(done)], dtype=np.float64), rounds


def _demand_same(between: NDArray[np.int64], events: int) -> None:
    if int(between.min(initial=0)) < 0 or int(between.sum()) != events:
        raise AnalysisError(f"there were {events} events, and now there are others: a hospital came or went.")


def _pieces(spans: list[Span], fan: int) -> list[Span]:
    found = []
    for low, high in spans:
        step = -(-(high - low) // fan)
        starts = range(low, high, step)
        found += [(start, min(start + step, high)) for start in starts]
    return found


def _between(times: Times, edges: Times) -> NDArray[np.int64]:
    places = np.searchsorted(edges, times, side="right") - 1
    inside = places[(places >= 0) & (places < len(edges) - 1)]
    return np.bincount(inside, minlength=len(edges) - 1).astype(np.int64)


def _decimal(times: Times, digits: int) -> NDArray[np.bool_]:
    """Which times are written with so many digits after the point."""
    unit = 10.0**digits
    return np.asarray(np.rint(times * unit) / unit == times)
