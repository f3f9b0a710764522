"""Who took part, of many hospitals: replies by round, how often hospitals contributed, and who was lost."""

from __future__ import annotations

from collections.abc import Sequence

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, some
from server.reporting.charts.bars import Part, legend, row
from server.reporting.charts.histogram import BINS, histogram, tallest
from server.reporting.charts.scale import Scale
from server.reporting.charts.strip import columns, strip_axis
from server.reporting.charts.timeline import bins as columns_of
from server.reporting.charts.timeline import timeline_axis
from server.reporting.losses import Losses
from server.reporting.markup import Child, Markup, joined, tag
from server.reporting.records import Round, Run
from server.reporting.sections.layout import figure, numbers
from server.reporting.tally import tally_of
from server.reporting.wording import NOTHING, count, shortened

MOST_NAMED = 100
LONGEST_REASON = 160


def replies(run: Run) -> ByHospital:
    """Of every hospital: rounds it was asked in, contributed to, and the last reason why a reply was not used."""
    tally = tally_of(run.rounds)
    rows = {}
    for site in run.sites:
        drops = tally.drops.get(site, ())
        why = shortened(drops[-1][1].reason, LONGEST_REASON) if drops else NOTHING
        asked, used = tally.selected.get(site, 0), tally.contributed.get(site, 0)
        rows[site] = [f"{asked:,}", f"{used:,}", f"{len(drops):,}", why]
    head = ["Rounds asked", "Rounds contributed", "Replies not used", "Last reason"]
    return ByHospital("rounds", "Rounds", head, rows)


def of_many(run: Run) -> Markup:
    """Pictures whose size does not grow with the hospitals, and names up to a limit."""
    return joined([_by_round(run), _contributions(run), _never(run), _lossy(run)])


def _by_round(run: Run) -> Markup:
    """A column for each few rounds: replies that were used, and those that were not."""
    drawn = columns_of(run.rounds)
    stacks = {_rounds(column): _parts(column) for column in drawn}
    most = max(1.0, *(sum(part.value for part in parts) for parts in stacks.values()))
    length = len(drawn[0])
    each = f"Each column is the mean of {length} rounds" if length > 1 else "Each column is a round"
    keys = legend([("used", "federated"), ("dropped: it was not used", "c6")])
    axis = timeline_axis(drawn)
    note = f"{each}; the tallest stands for {most:,.0f} hospitals that were asked."
    return figure("Hospitals asked, round by round", keys, columns(stacks, most), axis, note=note)


def _rounds(column: Sequence[Round]) -> str:
    first, last = column[0].number, column[-1].number
    return f"round {first}" if first == last else f"rounds {first} to {last}"


def _parts(column: Sequence[Round]) -> list[Part]:
    used = sum(len(set(one.contributed)) for one in column) / len(column)
    lost = sum(len(set(one.selected) - set(one.contributed)) for one in column) / len(column)
    return [Part("used", used, "federated", f"{used:,.4g}"), Part("dropped", lost, "c6", f"{lost:,.4g}")]


def _contributions(run: Run) -> Markup:
    tally = tally_of(run.rounds)
    times = [float(tally.contributed.get(site, 0)) for site in run.sites]
    least, most = int(min(times)), int(max(times))
    wide = -(-(most - least + 1) // BINS)
    bins = -(-(most - least + 1) // wide)
    scale = Scale(least - 0.5, least - 0.5 + wide * bins, 0, 100)
    drawn = row("Rounds contributed to", histogram(times, scale, "federated", _between, bins))
    note = (
        f"How many of {count(len(run.rounds), 'round')} each hospital contributed to. The tallest column stands for "
        f"{count(tallest(times, scale, bins), 'hospital')}; the line is their mean."
    )
    axis = row("", strip_axis(scale, whole=True))
    return figure("How often hospitals contributed", tag("div", drawn, axis, class_="rows strips"), note=note)


def _between(low: float, high: float) -> str:
    """Whole numbers of rounds between ends that lie half way to the next."""
    first, last = round(low + 0.5), round(high - 0.5)
    return count(first, "round") if first == last else f"{first:,} to {last:,} rounds"


def _never(run: Run) -> Child:
    """Hospitals that took no part in any round."""
    lost = Losses(run).hospitals
    if not lost:
        return None
    more = f", and {len(lost) - MOST_NAMED:,} more, who are in summary.json" if len(lost) > MOST_NAMED else ""
    named = [tag("li", one.sentence) for one in lost[:MOST_NAMED]]
    title = f"{count(len(lost), 'hospital')} took no part"
    return numbers(f"{title}, the first {MOST_NAMED} by name{more}" if more else title, tag("ul", *named))


def _lossy(run: Run) -> Child:
    """Hospitals of which replies were not used, those with most of them first."""
    drops = tally_of(run.rounds).drops
    order: list[SiteId] = sorted(drops, key=lambda site: (-len(drops[site]), site))
    if not order:
        return None
    more = len(order) - MOST_NAMED
    title = f"Replies of {count(len(order), 'hospital')} were not used"
    if more > 0:
        title += f": the {MOST_NAMED} who lost most; {more:,} more are in rounds.jsonl"
    return numbers(title, some(run, replies(run), order[:MOST_NAMED]))
