"""What a survey found and what one would find, for people: tables, sentences, a page."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from common.surveys.audit import CONFIDENCE, least_epsilon_heard
from common.surveys.forecast import Forecast
from common.surveys.intervals import Share
from common.surveys.randomisers import Randomiser
from common.surveys.responses import Responses
from server.reporting.charts.forest import Estimate, forest
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, tag
from server.reporting.markup import table as html_table
from server.reporting.page import document
from server.reporting.sections.layout import beside, figure, section

HEADER = ("answer", "heard", "share", "95 % from", "to", "mid-p from", "to ")
COSTS = (
    "interviews",
    "epsilon, drawn anew",
    "interval",
    "epsilon, kept",
    "interval ",
    "interval, one epsilon divided",
)


def results(responses: Responses, shares: Sequence[Share]) -> Table:
    """A line for each answer."""
    shown = Table(title=f"{responses.question}: {responses.persons:,} persons", title_justify="left")
    for at, name in enumerate(HEADER):
        shown.add_column(name.strip(), justify="right" if at else "left")
    for row in _rows(responses, shares):
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _rows(responses: Responses, shares: Sequence[Share]) -> list[tuple[str, ...]]:
    return [
        (
            answer,
            f"{count:,}",
            *(f"{value:.1%}" for value in (share.estimate, share.low, share.high, share.mid_p_low, share.mid_p_high)),
        )
        for answer, count, share in zip(responses.randomiser.answers, responses.counts, shares, strict=True)
    ]


def sentences(responses: Responses) -> list[str]:
    """What the table cannot say."""
    randomiser = responses.randomiser
    said = [
        f"Each answer is heard with chance {randomiser.if_true:.4g} where it is true and {randomiser.if_false:.4g} "
        f"where it is not: one interview keeps epsilon = {randomiser.epsilon:g} for its person, whoever reads it.",
        "Intervals hold the share among these very persons, at 95 % or more; mid-p is shorter, and holds on average.",
    ]
    if responses.left_out:
        said.append(
            f"{responses.left_out:,} persons are left out: no answer, or no epsilon left, which is not hidden."
        )
    proven = least_epsilon_heard(randomiser, responses.counts, responses.persons)
    if proven > randomiser.epsilon:
        said.append(
            f"NOT AS CLAIMED: shares this far apart prove epsilon = {proven:.2f} or more ({CONFIDENCE:.1%} sure)."
        )
    return said


def costs(forecasts: Sequence[Forecast]) -> Table:
    """A line for each number of interviews."""
    shown = Table(title="What asking again costs and brings", title_justify="left")
    for name in COSTS:
        shown.add_column(name.strip(), justify="right")
    for row in _cost_rows(forecasts):
        shown.add_row(*row)
    return shown


def _cost_rows(forecasts: Sequence[Forecast]) -> list[tuple[str, ...]]:
    first = forecasts[0]
    return [
        (
            str(one.interviews),
            f"{one.epsilon:g}",
            f"{one.width:.1%}",
            f"{first.epsilon:g}",
            f"{first.width:.1%}",
            f"{one.divided:.1%}",
        )
        for one in forecasts
    ]


def results_page(responses: Responses, shares: Sequence[Share]) -> str:
    """The HTML of what was found."""
    rows = [
        Estimate(answer, share.estimate, share.low, share.high)
        for answer, share in zip(responses.randomiser.answers, shares, strict=True)
    ]
    return _page(
        f"{responses.question}, a private survey",
        f"{responses.persons:,} persons, each answer randomised before it left",
        section("answers", "Answers", sentences(responses)[0], forest(rows, lambda value: f"{value:.1%}")),
        section("numbers", "Numbers", sentences(responses)[1], html_table(HEADER, _rows(responses, shares))),
        *(tag("p", one) for one in sentences(responses)[2:]),
    )


def costs_page(randomiser: Randomiser, persons: int, forecasts: Sequence[Forecast]) -> str:
    """The HTML of what asking again costs: epsilon and interval against the number of interviews."""
    kept = forecasts[0]
    widths = (
        Line("drawn anew", tuple((one.interviews, one.width) for one in forecasts), "c1"),
        Line("kept", tuple((one.interviews, kept.width) for one in forecasts), "c2"),
        Line("one epsilon, divided", tuple((one.interviews, one.divided) for one in forecasts), "c3"),
    )
    spent = (
        Line("drawn anew", tuple((one.interviews, one.epsilon) for one in forecasts), "c1"),
        Line("kept, or divided", tuple((one.interviews, kept.epsilon) for one in forecasts), "c2"),
    )
    drawings = (
        figure("Width of the 95 % interval", _chart(widths, lambda value: f"{value:.1%}", "interval by interviews")),
        figure("Epsilon of a person", _chart(spent, lambda value: f"{value:g}", "epsilon by interviews")),
    )
    lede = (
        "Answers drawn anew tell more each time, and cost the person as much again. A kept answer is the same every "
        "time: it costs nothing more, and tells nothing more."
    )
    return _page(
        "What a private survey costs",
        f"{persons:,} persons, {len(randomiser.answers)} answers, epsilon = {randomiser.epsilon:g} an interview",
        section("again", "Asked again", lede, beside(*drawings)),
        section("numbers", "Numbers", None, html_table(COSTS, _cost_rows(forecasts))),
    )


def _chart(lines: Sequence[Line], words: object, describe: str) -> Markup:
    assert callable(words)
    return line_chart(lines, describe=describe, x_word="interviews", words=words)


def _page(title: str, finding: str, *parts: Markup) -> str:
    header = tag("header", tag("h1", title), tag("p", finding, class_="finding"))
    return document(title, tag("main", header, *parts))
