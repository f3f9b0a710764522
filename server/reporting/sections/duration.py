"""Where the time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, folded
from server.reporting.charts.bars import Part, bar, legend, row, stacked_bar
from server.reporting.markup import Markup, joined, tag
from server.reporting.records import Run
from server.reporting.sections.layout import MOST_ROWS, beside, figure, section
from server.reporting.wording import duration, listed, percent

WORDS = {
    "training": "training in hospitals",
    "evaluation": "evaluation in hospitals",
    "waiting": "messages and waiting",
    "server": "the coordinator's own step",
    "start": "starting the hospitals",
}
COMPARED = "each hospital's own model, to compare with"
REST = "everything else"


def time_spent(run: Run) -> Markup | None:
    """None where no time was recorded."""
    compared = run.baselines.seconds.get("local", 0.0) if run.baselines else 0.0
    parts = parts_of(run.about.time, run.about.seconds, compared)
    means = mean_seconds(run)
    if not parts and not means:
        return None
    return section(
        "time",
        "Where the time went",
        _lede(run, parts),
        _whole(parts) if parts else None,
        _hospitals(run, means) if means else None,
    )


def parts_of(time: Mapping[str, float], seconds: float | None, compared: float = 0.0) -> list[Part]:
    """Known parts in a fixed order, others after them, and what the total leaves unexplained.

    compared: seconds of the hospitals' own models, which are trained at the end of a run; the pooled one is
    trained beside it and takes none of its time.
    """
    known = {
        WORDS.get(key, key): time[key] for key in [*WORDS, *sorted(set(time) - set(WORDS))] if time.get(key, 0) > 0
    }
    if known and 0 < compared <= (seconds or 0.0) - sum(known.values()):
        known[COMPARED] = compared
    rest = (seconds or 0.0) - sum(known.values())
    if known and rest > 0.01 * (seconds or 0.0):
        known[REST] = rest
    return [Part(label, value, f"c{k}", duration(value)) for k, (label, value) in enumerate(known.items(), 1)]


def mean_seconds(run: Run) -> dict[str, float]:
    """Mean seconds of a hospital's answer to a round, slowest hospital first."""
    every: dict[str, list[float]] = {}
    for one in run.rounds:
        for site, seconds in one.site_seconds.items():
            every.setdefault(site, []).append(seconds)
    means = {site: sum(found) / len(found) for site, found in every.items()}
    return dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))


def _lede(run: Run, parts: list[Part]) -> str:
    words = []
    if run.about.seconds is not None:
        each = duration(run.about.seconds / run.rounds_done) if run.rounds_done else ""
        words.append(f"{duration(run.about.seconds)} in all" + (f", {each} a round." if each else "."))
    if parts:
        total = sum(part.value for part in parts)
        largest = max(parts, key=lambda part: part.value)
        if largest.label != REST:
            words.append(f"Most of it, {percent(largest.value / total)}, was {largest.label}.")
    return " ".join([*words, *_slowest(run), *_baselines(run)])


def _slowest(run: Run) -> list[str]:
    slowest = Counter(
        max(one.site_seconds, key=one.site_seconds.__getitem__) for one in run.rounds if one.site_seconds
    )
    if not slowest or len(mean_seconds(run)) < 2:
        return []
    site, times = slowest.most_common(1)[0]
    return [f"A round waits for its slowest hospital; {site} was slowest in {times} of {slowest.total()} rounds."]


def _baselines(run: Run) -> list[str]:
    spent = run.baselines.seconds if run.baselines else {}
    words = [f"{duration(value)} for the {name} models" for name, value in sorted(spent.items()) if value > 0]
    return [f"The models to compare with took {listed(words)}."] if words else []


def _whole(parts: list[Part]) -> Markup:
    keys = legend((f"{part.label} {part.words}", part.look) for part in parts)
    return joined([tag("div", stacked_bar(parts), class_="rows tall"), keys])


def mean_times(means: Mapping[SiteId, float]) -> ByHospital:
    """Of every hospital that answered."""
    rows = {site: [duration(value)] for site, value in means.items()}
    return ByHospital("time", "Time of its answers", ["Mean seconds a round"], rows)


def _hospitals(run: Run, means: Mapping[SiteId, float]) -> Markup:
    every = folded(run, mean_times(means), "Every hospital", list(means), "the slowest and the fastest")
    longest = max(means.values()) or 1.0
    shown = list(means.items())[:MOST_ROWS]
    bars = [
        row(site, bar(value / longest, duration(value), "federated", f"{site}: {duration(value)}"))
        for site, value in shown
    ]
    title = "Mean time of a hospital's answer" if len(means) <= MOST_ROWS else f"The {MOST_ROWS} slowest hospitals"
    return beside(figure(title, tag("div", *bars, class_="rows"), every))
