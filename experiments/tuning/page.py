"""`tune.html` and `tune.json`: errors against what was varied, the choice, and where the error comes from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import write_json
from experiments.tuning.conduct import Tried, Tuned
from server.reporting.charts.lines import Band, Line, line_chart
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import beside, figure, section
from server.reporting.wording import NOTHING, capital, count, score, score_name

PAGE, FIGURES = "tune.html", "tune.json"
MARK = " \N{LEFTWARDS ARROW}"
PARTS = {"bias_squared": "bias squared", "variance": "variance", "noise": "noise", "error": "error"}


def write_choice(tuned: Tuned) -> Path:
    """Both files; the page's path."""
    write_json(tuned.folder, FIGURES, figures_of(tuned))
    return write(tuned.folder, PAGE, page_of(tuned))


def figures_of(tuned: Tuned) -> dict[str, Any]:
    """Everything that the page shows, as numbers."""
    return {
        "title": tuned.title,
        "score": tuned.headline,
        "rule": "one standard error" if tuned.one_standard_error else "best",
        "chosen": list(tuned.tried[tuned.chosen].candidate.settings),
        "test": asdict(tuned.test),
        "replicates": tuned.replicates,
        "candidates": [
            {
                "settings": list(one.candidate.settings),
                "validation": asdict(one.validation),
                "validation_loss": one.validation_loss,
                "training_loss": one.training_loss,
                "parts": None if one.parts is None else {**asdict(one.parts), "error": one.parts.error},
            }
            for one in tuned.tried
        ],
    }


def page_of(tuned: Tuned) -> str:
    """The HTML."""
    head = tag("header", tag("h1", f"Settings chosen: {tuned.title}"), tag("p", _finding(tuned), class_="finding"))
    parts = [_scores(tuned), _errors(tuned), _table(tuned)]
    return document(f"Settings chosen: {tuned.title}", tag("main", head, *(one for one in parts if one is not None)))


def _finding(tuned: Tuned) -> str:
    best, name = tuned.tried[tuned.chosen], score_name(tuned.headline)
    rule = "the last listed within one standard error of the best" if tuned.one_standard_error else "the best"
    return (
        f"Of {count(len(tuned.tried), 'candidate')} {', '.join(best.candidate.settings)} is {rule} by {name} on all "
        f"hospitals' validation patients together ({score(best.validation.value)}{_interval(best.validation)}). Only "
        f"then were test patients scored, by this one: {score(tuned.test.value)}{_interval(tuned.test)}."
    )


def _interval(found: Any) -> str:
    return "" if found.low is None else f", 95 % interval {score(found.low)} to {score(found.high)}"


def _scores(tuned: Tuned) -> Markup:
    name = capital(score_name(tuned.headline))
    known = [(x, one) for x, one in enumerate(tuned.tried, 1) if one.validation.low is not None]
    bands = [
        Band(
            "95 % interval",
            tuple((x, one.validation.low) for x, one in known),
            tuple((x, one.validation.high) for x, one in known),
            "outer",
        )
    ]
    line = Line("validation", tuple((x, one.validation.value) for x, one in enumerate(tuned.tried, 1)), "everybody")
    chosen = tuned.tried[tuned.chosen].validation.value
    point = Line("chosen", ((tuned.chosen + 1, chosen), (tuned.chosen + 1, chosen)), "c1")
    losses = [
        Line("training", tuple((x, one.training_loss) for x, one in enumerate(tuned.tried, 1)), "c2"),
        Line("validation", tuple((x, one.validation_loss) for x, one in enumerate(tuned.tried, 1)), "everybody"),
    ]
    return section(
        "choice",
        "What was chosen",
        f"Candidates in the order they were listed, by {', '.join(tuned.keys)}; number {tuned.chosen + 1} is chosen. "
        "Scores are sums over all hospitals' validation patients; no single hospital's was needed.",
        beside(
            figure(
                f"{name} on validation patients",
                line_chart(
                    [line, point], bands if known else [], describe=f"{name}", x_word="candidate", words=score
                ),
            ),
            figure("Loss", line_chart(losses, describe="Losses", x_word="candidate", words=score)),
        ),
    )


def _errors(tuned: Tuned) -> Markup | None:
    if tuned.tried[0].parts is None:
        return None
    lines = [
        Line(words, tuple((x, _part(one, name)) for x, one in enumerate(tuned.tried, 1)), look)
        for (name, words), look in zip(PARTS.items(), ("c1", "c2", "c3", "everybody"), strict=True)
    ]
    repeated = tuned.tried[0].parts.repeated
    alike = f"{repeated:.0%} of the cases have inputs that another has" if repeated else "no two cases are alike"
    return section(
        "parts",
        "Where the error comes from",
        f"{tuned.replicates} models a candidate, each of another draw of every hospital's training patients, with "
        "replacement. Bias: how far their mean answer is from the truth; variance: how far they are from it "
        "themselves. The three add up to the error exactly.",
        figure(
            "Bias, variance and error",
            line_chart(lines, describe="Parts of the error", x_word="candidate", words=score),
            note=f"Noise shows in cases with equal inputs alone ({alike}); else it is within bias squared.",
        ),
    )


def _part(one: Tried, name: str) -> float | None:
    return None if one.parts is None else float(getattr(one.parts, name))


def _table(tuned: Tuned) -> Markup:
    head: list[Child] = ["", *tuned.keys, "Validation", "95 % interval", "Training loss", "Validation loss"]
    has_parts = tuned.tried[0].parts is not None
    head += [capital(words) for words in PARTS.values()] if has_parts else []
    rows = [_row(x, one, x - 1 == tuned.chosen, has_parts) for x, one in enumerate(tuned.tried, 1)]
    return section("numbers", "All candidates", "The chosen one has an arrow.", table([str(h) for h in head], rows))


def _row(number: int, one: Tried, is_chosen: bool, has_parts: bool) -> list[str]:
    found = one.validation
    interval = NOTHING if found.low is None else f"{score(found.low)} to {score(found.high)}"
    cells = [f"{number}{MARK * is_chosen}", *one.candidate.values, score(found.value), interval]
    cells += [score(one.training_loss), score(one.validation_loss)]
    return cells + ([score(_part(one, name)) for name in PARTS] if has_parts else [])
