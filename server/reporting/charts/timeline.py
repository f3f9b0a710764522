"""Hospitals by rounds: who contributed, who was not asked, who was dropped and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from common.data.names import SiteId
from server.reporting.charts.scale import ticks
from server.reporting.markup import Markup, tag
from server.reporting.records import Round

MOST_COLUMNS = 150
State = Literal["contributed", "idle", "dropped"]
_HEIGHTS = {"contributed": (4, 10), "idle": (8, 2), "dropped": (0, 18)}


@dataclass(frozen=True)
class Cell:
    """One hospital in one column of rounds. reasons: why it was dropped, if it was."""

    state: State
    reasons: tuple[str, ...] = ()


def bins(rounds: Sequence[Round], most: int = MOST_COLUMNS) -> list[Sequence[Round]]:
    """Consecutive rounds in at most `most` columns of equal length, the last maybe shorter."""
    length = -(-len(rounds) // most) if rounds else 1
    return [rounds[start : start + length] for start in range(0, len(rounds), length)]


def cells(site: SiteId, columns: Sequence[Sequence[Round]]) -> list[Cell]:
    """A column shows the gravest thing that happened in it."""
    return [_cell(site, column) for column in columns]


def _cell(site: SiteId, column: Sequence[Round]) -> Cell:
    reasons = tuple(reason for one in column for reason in _reasons(site, one))
    if reasons:
        return Cell("dropped", reasons)
    return Cell("contributed" if any(site in one.contributed for one in column) else "idle")


def _reasons(site: SiteId, one: Round) -> list[str]:
    reasons = [f"round {one.number}, {drop.leg}: {drop.reason}" for drop in one.dropped if drop.site == site]
    silent = site in one.selected and site not in one.contributed
    return reasons or ([f"round {one.number}: selected, but no contribution was recorded"] if silent else [])


def timeline_row(site: SiteId, columns: Sequence[Sequence[Round]]) -> Markup:
    """One hospital's rounds from left to right."""
    drawn = [_run(site, columns, *run) for run in _runs(cells(site, columns))]
    return tag("svg", *drawn, class_="timeline", role="img", aria_label=f"rounds of {site}")


def _runs(row: Sequence[Cell]) -> Iterator[tuple[int, int, Cell]]:
    """(start, length, cell) of equal neighbours; dropped cells stay single, so that each tells its reason."""
    groups = groupby(enumerate(row), key=lambda at: (at[1], at[0] if at[1].reasons else -1))
    for _, group in groups:
        found = list(group)
        yield found[0][0], len(found), found[0][1]


def _run(site: SiteId, columns: Sequence[Sequence[Round]], start: int, length: int, cell: Cell) -> Markup:
    y, height = _HEIGHTS[cell.state]
    first, last = columns[start][0].number, columns[start + length - 1][-1].number
    rounds = f"round {first}" if first == last else f"rounds {first} to {last}"
    tip = "\n".join([f"{site}, {rounds}: {WORDS[cell.state]}", *cell.reasons])
    place = {"x": f"{100 * start / len(columns):.3f}%", "width": f"{100 * length / len(columns):.3f}%"}
    return tag("rect", tag("title", tip), **place, y=y, height=height, class_=f"cell {cell.state} hit")


WORDS: Mapping[State, str] = {"contributed": "contributed", "idle": "not selected", "dropped": "dropped"}


def timeline_axis(columns: Sequence[Sequence[Round]]) -> Markup:
    """The rounds' numbers under the rows."""
    first, last = columns[0][0].number, columns[-1][-1].number
    marks = sorted({first, *(int(m) for m in ticks(first, last, most=6, whole=True)), last})
    span = last - first + 1
    kept = [m for m in marks if m in (first, last) or min(m - first, last - m) > span / 16]
    texts = (
        tag("text", str(m), x=f"{100 * (m - first + 0.5) / span:.2f}%", y=12, text_anchor="middle") for m in kept
    )
    return tag("svg", *texts, class_="strip-axis", aria_hidden="true")
