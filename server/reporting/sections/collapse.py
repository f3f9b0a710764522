"""Whether the network still tells cases apart: an alarm that cannot be missed, or the word that it was looked at."""

from __future__ import annotations

from server.collapse import EXPLAINED, RANK, Finding, Verdict
from server.collapse_words import all_well, answers, sentence, sentences
from server.reporting.charts.lines import Line, line_chart
from server.reporting.collapse import collapse_of
from server.reporting.curves import Curves, evaluation_curves
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.records import Run
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, capital, score

MOST_LINES = 8
EVERYBODY = "all hospitals"
SPREAD_NOTE = "How far answers to different cases lie from their mean, all of unit length. At 0 all are one."
RANK_NOTE = "Directions that features spread in, weighted by how much; a few numbers of every feature are summed."
EXPLAINED_NOTE = "1 is a loss of 0, and 0 the loss where nothing was learned. By itself it tells no collapse."


def alarm(run: Run) -> Markup | None:
    """At the top of the page; None of a task that is not watched."""
    found = collapse_of(run)
    if not found.watched:
        return None
    told = sentences(found)
    if not told:
        return tag("p", all_well(found), class_="quiet" if found.is_seen else "banner warn", id="collapse-in-short")
    head = "The network has collapsed." if found.collapsed else "The network may not have learned what it should."
    listed = tag("ul", *(tag("li", one) for one in told))
    look = "bad" if found.collapsed else "warn"
    return tag("div", tag("b", head), listed, class_=f"banner {look}", id="collapse-in-short", role="alert")


def collapse(run: Run) -> Markup | None:
    """Curves of what was looked at; None of a task that is not watched, or where nobody looked."""
    found = collapse_of(run)
    if not found.looks:
        return None
    names = [name for name in found.watched if any(name in one.pooled for one in found.looks)]
    drawn = [_spread(run, name) for name in names]
    drawn += [_drawn(run, RANK, "Effective rank of features", RANK_NOTE)] if _is_known(found, RANK) else []
    drawn += (
        [_drawn(run, EXPLAINED, "Share of the trivial loss explained", EXPLAINED_NOTE)]
        if _is_known(found, EXPLAINED)
        else []
    )
    return section(
        "collapse",
        "Does it still tell cases apart?",
        " ".join(sentences(found)[:1]) or all_well(found),
        _passed(found.passed),
        beside(*drawn),
        numbers("The numbers of every evaluation", _table(found, [*names, RANK, EXPLAINED])),
    )


def _is_known(found: Verdict, name: str) -> bool:
    return any(name in one.pooled for one in found.looks)


def _passed(passed: tuple[Finding, ...]) -> Child:
    """What was so on the way, and is so no more."""
    if not passed:
        return None
    told = [f"On the way, and no more at the end: {sentence(one)}" for one in passed]
    return tag("p", " ".join(told), class_="banner warn")


def _spread(run: Run, name: str) -> Markup:
    return _drawn(run, name, f"Spread of {answers(name)}", SPREAD_NOTE)


def _drawn(run: Run, name: str, title: str, note: str) -> Markup:
    curves = evaluation_curves(run, name)
    chart = line_chart(_lines(curves), describe=f"{title} over rounds", x_word="round", words=score)
    return figure(f"{title}, {curves.split} cases", chart, note=note)


def _lines(curves: Curves) -> list[Line]:
    everybody = Line(EVERYBODY, curves.pooled, "everybody")
    if len(curves.sites) > MOST_LINES:
        return [Line("lowest hospital", curves.quantile(0.0), "median"), everybody]
    return [*(Line(site, points, f"c{k}") for k, (site, points) in enumerate(curves.sites.items(), 1)), everybody]


def _table(found: Verdict, names: list[str]) -> Markup:
    rows = [[f"{one.of_round}", *(_told(one.pooled.get(name)) for name in names)] for one in found.looks]
    return table(["After round", *(_title(name) for name in names)], rows)


def _title(name: str) -> str:
    if name == RANK:
        return "Effective rank"
    return "Explained" if name == EXPLAINED else f"Spread of {answers(name)}"


def _told(value: float | None) -> str:
    return NOTHING if value is None else capital(f"{value:.4g}")
