"""Who took part in which round, and why somebody did not."""

from __future__ import annotations

from server.reporting.charts.bars import legend, row
from server.reporting.charts.timeline import bins, timeline_axis, timeline_row
from server.reporting.markup import Markup, table, tag
from server.reporting.records import Run
from server.reporting.sections.layout import numbers, section
from server.reporting.wording import count, listed

DENSE_FROM = 26
MOST_DROPS_LISTED = 200
FEW_DROPS = 12
"""So many are shown unfolded."""


def participation(run: Run) -> Markup | None:
    """None before the first round."""
    if not run.rounds:
        return None
    columns = bins(run.rounds)
    rows = [row(site, timeline_row(site, columns), note=_share(run, site)) for site in run.sites]
    dense = len(rows) >= DENSE_FROM
    keys = legend(
        [("contributed", "contributed"), ("not selected", "idle"), ("dropped: its reply was not used", "dropped")]
    )
    axis = row("", timeline_axis(columns))
    grid = tag("div", *rows, axis, class_="rows dense" if dense else "rows")
    length = len(columns[0])
    binned = f"Each column is {length} rounds and shows the gravest of them." if length > 1 else None
    note = tag("p", binned, class_="note") if binned else None
    shares = _shares(run) if dense else None
    return section("rounds", "Who took part", _lede(run), keys, grid, note, _drops(run), shares)


def _share(run: Run, site: str) -> str:
    return f"{sum(site in one.contributed for one in run.rounds)} of {len(run.rounds)}"


def _lede(run: Run) -> str:
    drops = [(one.number, drop) for one in run.rounds for drop in one.dropped]
    start = f"One row a hospital, {count(len(run.rounds), 'round')} from left to right."
    if not drops:
        return f"{start} No reply was dropped."
    sites = sorted({drop.site for _, drop in drops})
    lost = count(len(drops), "reply was", "replies were")
    return f"{start} {lost} not used, from {listed(sites, most=5)}; the rounds went on without."


def _drops(run: Run) -> Markup | None:
    rows = [[str(one.number), drop.site, drop.leg, drop.reason] for one in run.rounds for drop in one.dropped]
    if not rows:
        return None
    shown = rows[:MOST_DROPS_LISTED]
    title = f"Replies that were not used ({len(rows)})"
    if len(shown) < len(rows):
        title += f", the first {len(shown)}; all are in rounds.jsonl"
    return tag(
        "details",
        tag("summary", title),
        table(["Round", "Hospital", "Leg", "Reason"], shown, words=4),
        open=len(rows) <= FEW_DROPS,
    )


def _shares(run: Run) -> Markup:
    rows = [[site, _share(run, site)] for site in run.sites]
    return numbers("Rounds of every hospital", table(["Hospital", "Contributed"], rows))
