"""Who left and when, by group: the counts from which survival curves and log-rank tests follow."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import array_of, levels_named, words_of
from common.analyses._event_times import Followed, Sums, rounded_up
from common.asking.abilities import SITE
from common.asking.analysis import Public, Query, Told
from common.asking.answer import Figure, Series, Table
from common.asking.exact_sums import Total, counts
from common.asking.groups import codes
from common.asking.records import Records
from common.errors import StudyError

LEAVING, UNTIL = "leaving", "until"
LEAST_SPAN = 1e-250
"""Of time, that can still be divided."""
COARSER = 8
"""Widths beside the one asked for, in the table of what a grid's width discloses."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class SurvivalTable:
    """times: (T,) of events. groups: G words, ("",) for everybody together.

    events: (G, T). censored: (G, T + 1), who left without the event before the first time, from it on but before the
    second, and so on. Whoever is censored at a time was at risk then. followed: (G,) how many until `until`, if told.
    """

    times: NDArray[np.float64]
    groups: tuple[str, ...]
    events: Counts
    censored: Counts
    followed: Counts

    @property
    def sizes(self) -> Counts:
        """(G,) persons."""
        return np.asarray(self.events.sum(axis=1) + self.censored.sum(axis=1))

    @property
    def at_risk(self) -> Counts:
        """(G, T) just before each time."""
        left = np.cumsum(self.events + self.censored[:, :-1], axis=1) - self.events
        return np.asarray(self.sizes[:, None] - left)

    def some(self, groups: NDArray[np.bool_]) -> SurvivalTable:
        """Those groups alone."""
        kept = tuple(name for name, keep in zip(self.groups, groups.tolist(), strict=True) if keep)
        return SurvivalTable(self.times, kept, self.events[groups], self.censored[groups], self.followed[groups])


def group_levels(group: str, levels: tuple[str, ...], public: Public) -> tuple[str, ...]:
    """A grouping column's words; ("",) where there is none. Raises StudyError where nobody named them."""
    if not group:
        return ("",)
    known = {SITE: public.sites, **public.levels, **levels_named(levels)}
    if group not in known:
        raise StudyError(
            f"the groups of column {group!r} are not known: name them, such as levels = [{f'{group}=a|b'!r}]."
        )
    return known[group]


def group_of(records: Records, group: str, words: tuple[str, ...]) -> NDArray[np.int64]:
    """(N,) which of the words; -1 for none of them."""
    if not group:
        return np.zeros(len(records), dtype=np.int64)
    return codes(records, group, words)


def survival_table(
    times: NDArray[np.float64], groups: tuple[str, ...], told: Mapping[str, Told]
) -> Generator[Query, Total, SurvivalTable]:
    """One round: every row is counted once, and once more where `until` is told."""
    parts = {"events": counts(len(groups), len(times)), "censored": counts(len(groups), len(times) + 1)}
    if UNTIL in told:
        parts["followed"] = counts(len(groups))
    total = yield Query(parts, {**told, "times": times}, LEAVING)
    followed = total.count("followed") if UNTIL in told else np.zeros(len(groups), dtype=np.int64)
    return SurvivalTable(times, groups, total.count("events"), total.count("censored"), followed)


def leaving_sums(query: Query, found: Followed, group: NDArray[np.int64], groups: int) -> Sums:
    """The hospital's half. group: (N,) of the rows in `found`."""
    times = array_of(query.tells, "times")
    places = np.searchsorted(times, found.times, side="right")
    events, censored = np.zeros((groups, len(times)), np.int64), np.zeros((groups, len(times) + 1), np.int64)
    had = found.events & (places > 0)
    np.add.at(events, (group[had], places[had] - 1), 1)
    np.add.at(censored, (group[~found.events], places[~found.events]), 1)
    if UNTIL not in query.tells:
        return {"events": events, "censored": censored}
    long = group[found.times >= array_of(query.tells, UNTIL)[0]]
    return {"events": events, "censored": censored, "followed": np.bincount(long, minlength=groups)}


def told_groups(query: Query) -> tuple[str, ...]:
    """As a hospital hears of them."""
    return words_of(query.tells, "groups")


def disclosure(table: SurvivalTable, width: float) -> tuple[Table, Figure, dict[str, list[float]]]:
    """How many events stand alone, of one person of a group, by the width of the grid: this one's and coarser ones.

    The table asked for tells all of it, so that showing it tells nothing more.
    """
    rows = [_alone(table, wide) for wide in _widths(table, width)]
    header = ("width", "times with an event", "events alone", "share of events", "fewest at risk")
    note = (
        "An event alone is one person's: its time, and group, are that person's. A wider grid hides it among others."
    )
    shown = tuple(("as written" if wide == 0 else wide, *rest) for wide, *rest in rows)
    series = Series("events alone", tuple(row[0] for row in rows), tuple(row[3] for row in rows))
    figure = Figure("lines", "What the time grid tells", "width of the grid", "share of events alone", (series,))
    numbers = {"widths": [row[0] for row in rows], "events_alone": [float(row[2]) for row in rows]}
    few = tuple((0, 0, alone, 0, fewest) for _, _, alone, _, fewest in rows)
    return Table("Disclosure by width of the time grid", header, shown, note, few), figure, numbers


def _widths(table: SurvivalTable, width: float) -> list[float]:
    last = float(table.times[-1]) if len(table.times) else 0.0
    coarser = [last / 2**k for k in range(COARSER, -1, -1)] if last > LEAST_SPAN else []
    if width > 0:
        return [width, *(width * max(2, round(wide / width)) for wide in coarser if wide >= 2 * width)]
    return [0.0, *coarser]


def _alone(table: SurvivalTable, width: float) -> tuple[float, int, int, float, int]:
    ticks = rounded_up(table.times, width) if width > 0 else table.times
    _, first = np.unique(ticks, return_index=True)
    if not len(first):
        return width, 0, 0, 0.0, int(table.sizes.min(initial=table.sizes.sum()))
    events = np.add.reduceat(table.events, first, axis=1)
    alone, fewest = int(np.count_nonzero(events == 1)), table.at_risk[:, first]
    with_event = fewest[events > 0]
    return width, len(first), alone, alone / int(events.sum()), int(with_event.min())
