"""Who took part in which round, and why somebody did not."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from server.reporting.by_hospital import is_many
from server.reporting.charts.bars import legend, row
from server.reporting.charts.timeline import bins, timeline_axis, timeline_row
from server.reporting.markup import Markup, table, tag
from server.reporting.records import Round, Run
from server.reporting.sections.layout import numbers, section
from server.reporting.sections.participation_of_many import of_many
from server.reporting.summary import taken_back
from server.reporting.tally import tally_of
from server.reporting.wording import capital, count, listed

DENSE_FROM = 26
MOST_DROPS_LISTED = 200
FEW_DROPS = 12
"""So many are shown unfolded."""
REPEATED = (
    "Where only sums of whole groups of hospitals are opened, a round that lost one of a group opens nothing of that "
    "group. It is asked for again, the same order to the same hospitals, until all are back or the wait is over."
)
WIDENED = (
    "A sum has room for values up to a range. Where more than a few lay beyond it, the same hospitals were asked for "
    "the same sum over a wider range, which costs precision; the rounds after it keep that range."
)


def participation(run: Run) -> Markup | None:
    """None before the first round."""
    if not run.rounds:
        return None
    told = (_taken_back(run), _repeats(run), _drops(run))
    if is_many(run):
        return section("rounds", "Who took part", _lede(run), of_many(run), *told)
    columns, contributed = bins(run.rounds), tally_of(run.rounds).contributed
    shares = {site: f"{contributed.get(site, 0)} of {len(run.rounds)}" for site in run.sites}
    rows = [row(site, timeline_row(site, columns), note=shares[site]) for site in run.sites]
    dense = len(rows) >= DENSE_FROM
    keys = legend(
        [("contributed", "contributed"), ("not selected", "idle"), ("dropped: its reply was not used", "dropped")]
    )
    axis = row("", timeline_axis(columns))
    grid = tag("div", *rows, axis, class_="rows dense" if dense else "rows")
    length = len(columns[0])
    binned = f"Each column is {length} rounds and shows the gravest of them." if length > 1 else None
    note = tag("p", binned, class_="note") if binned else None
    every = _shares(shares) if dense else None
    return section("rounds", "Who took part", _lede(run), keys, grid, note, *told, every)


def _taken_back(run: Run) -> Markup | None:
    """Rounds that count for nothing since the hospitals or the sum spoke against them. None where there are none."""
    found = taken_back(run)
    if not found:
        return None
    shown = [tag("li", one) for one in found[:MOST_DROPS_LISTED]]
    return tag("details", tag("summary", f"Rounds that were taken back ({len(found)})"), tag("ul", *shown), open=True)


def _lede(run: Run) -> str:
    drops = [(one.number, drop) for one in run.rounds for drop in one.dropped]
    rounds = count(len(run.rounds), "round")
    start = f"{count(len(run.sites), 'hospital')}, {rounds}." if is_many(run) else ""
    start = start or f"One row a hospital, {rounds} from left to right."
    if not drops:
        return f"{start} No reply was dropped."
    sites = sorted({drop.site for _, drop in drops})
    lost = count(len(drops), "reply was", "replies were")
    return f"{start} {lost} not used, from {listed(sites, most=5)}. {_afterwards(run)}"


def _afterwards(run: Run) -> str:
    """Whether the rounds that lost a reply used fewer hospitals in the end, or had it again."""
    lossy = [one for one in run.rounds if one.dropped]
    without = [one for one in lossy if {drop.site for drop in one.dropped} - set(one.contributed)]
    if not without:
        return "Each of these hospitals answered when its round was asked for again, and was used."
    if len(without) == len(lossy):
        return "These rounds went on without."
    return (
        f"{capital(count(len(without), 'round'))} went on without; the others were repeated until all had answered."
    )


def _repeats(run: Run) -> Markup | None:
    """Rounds that were asked for more than once, and why. None where there were none."""
    again = [one for one in run.rounds if one.attempts > 1]
    rows = [[str(one.number), f"{count(one.attempts, 'time')}", _why_repeated(one)] for one in again]
    if not rows:
        return None
    shown = rows[:MOST_DROPS_LISTED]
    title = f"Rounds that were asked for more than once ({len(rows)})"
    if len(shown) < len(rows):
        title += f", the first {len(shown)}; all are in rounds.jsonl"
    return tag(
        "details",
        tag("summary", title),
        tag("p", REPEATED) if any(map(_for_groups, again)) else None,
        tag("p", WIDENED) if any(one.widenings for one in again) else None,
        table(["Round", "Asked", "Why"], shown, words=3),
        open=len(rows) <= FEW_DROPS,
    )


def _why_repeated(one: Round) -> str:
    """For hospitals that were lost, for a wider range, or both."""
    why = []
    if again := _for_groups(one):
        lost = listed(sorted({drop.site for drop in one.dropped}), most=5)
        why.append(f"again {count(again, 'time')} because a group was not whole" + f" (lost: {lost})" * bool(lost))
    if one.widenings:
        why.append(
            f"again {count(one.widenings, 'time')}, with a range {one.range_factor} times the study's in the end"
        )
    return "; ".join(why)


def _for_groups(one: Round) -> int:
    """Repeats for hospitals that were lost."""
    return max(0, one.attempts - 1 - one.widenings)


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


def _shares(shares: Mapping[SiteId, str]) -> Markup:
    return numbers("Rounds of every hospital", table(["Hospital", "Contributed"], shares.items()))
