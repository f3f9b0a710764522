"""Several runs on one page: what differs between them, their curves together, and how sure the differences are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.files.access import write
from experiments.comparing.measured import Compared
from experiments.comparing.settings import differing_settings
from experiments.running.bootstrap import Interval
from server.reporting.charts.forest import Estimate, forest
from server.reporting.charts.lines import Line, line_chart
from server.reporting.curves import Points, evaluation_curves, training_curves
from server.reporting.markup import Markup, table, tag
from server.reporting.page import document
from server.reporting.records import Run
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, capital, count, difference, named, score, score_name

PAGE, FIGURES = "compare.html", "compare.json"
MOST_SCORES_DRAWN = 12


def write_comparison(compared: Compared, folder: Path) -> Path:
    """`compare.html` and, for machines, `compare.json`; the page's path."""
    write(folder, FIGURES, json.dumps(figures_of(compared), indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    return write(folder, PAGE, page_of(compared))


def figures_of(compared: Compared) -> dict[str, Any]:
    """Everything that the page shows, as numbers."""
    return {
        "runs": [
            {
                "name": name,
                "title": run.about.title,
                "state": run.about.state,
                "model_sha256": run.about.model_sha256,
                "test": dict(_final(run)),
                "intervals": _intervals(compared.intervals.get(place, {})),
                "minus_first": _intervals(compared.differences.get(place, {})),
                "patients_in_common": compared.patients.get(place),
                "no_interval": compared.unknown.get(place),
            }
            for place, (name, run) in enumerate(zip(compared.names, compared.runs, strict=True))
        ],
        "settings": {one.name: list(one.values) for one in differing_settings(compared.runs)},
    }


def page_of(compared: Compared) -> str:
    """The HTML."""
    parts = [_settings(compared), _curves(compared), _scores(compared), _differences(compared)]
    head = tag(
        "header", tag("h1", "Runs compared"), tag("p", _finding(compared), class_="finding"), _legend(compared)
    )
    return document("Runs compared", tag("main", head, *parts))


def _finding(compared: Compared) -> str:
    first, headline = compared.names[0], _headline(compared.runs[0])
    said = [
        f"{name} {_verdict(one[headline])} ({difference(one[headline].value)}, 95 % interval "
        f"{difference(one[headline].low)} to {difference(one[headline].high)})"
        for place, name in enumerate(compared.names)
        if headline in (one := compared.differences.get(place, {}))
    ]
    if said:
        return f"By {score_name(headline)} on the same test patients, against {first}: {'; '.join(said)}."
    known = [
        f"{name} {score(_final(run).get(headline))}" for name, run in zip(compared.names, compared.runs, strict=True)
    ]
    name = capital(score_name(headline))
    return f"{name} on test patients: {', '.join(known)}. How sure their difference is, is not known."


def _verdict(interval: Interval) -> str:
    if interval.low > 0:
        return "scores higher"
    return "scores lower" if interval.high < 0 else "cannot be told apart"


def _legend(compared: Compared) -> Markup:
    rows = [
        [name, run.about.title or run.about.study, run.about.state, f"{run.rounds_done}", run.about.model_sha256[:12]]
        for name, run in zip(compared.names, compared.runs, strict=True)
    ]
    return table(["Run", "Study", "State", "Rounds", "Model (SHA-256)"], rows, words=5)


def _settings(compared: Compared) -> Markup:
    rows = [[one.name, *one.values] for one in differing_settings(compared.runs)]
    if not rows:
        words = "Every setting, and every version of the program, is the same."
        return section("settings", "What differs in the studies", words)
    lede = f"{count(len(rows), 'setting')}; all others are the same in every run."
    return section(
        "settings", "What differs in the studies", lede, table(["Setting", *compared.names], rows, 1 + len(rows[0]))
    )


def _curves(compared: Compared) -> Markup:
    headline = _headline(compared.runs[0])
    scores = [evaluation_curves(run, headline).pooled for run in compared.runs]
    losses = [training_curves(run).pooled for run in compared.runs]
    name = capital(score_name(headline))
    return section(
        "curves",
        "How the models learned",
        "One line a run, over all hospitals together.",
        beside(
            figure(f"{name} on the patients that rounds evaluate", _chart(compared, scores, f"{name} over rounds")),
            figure("Training loss", _chart(compared, losses, "training loss over rounds")),
        ),
    )


def _chart(compared: Compared, points: Sequence[Points], describe: str) -> Markup:
    lines = [
        Line(name, one, f"c{k % 8 + 1}") for k, (name, one) in enumerate(zip(compared.names, points, strict=True))
    ]
    return line_chart(lines, describe=describe, x_word="round", words=score)


def _scores(compared: Compared) -> Markup:
    finals = [_final(run) for run in compared.runs]
    names = list(dict.fromkeys(name for one in finals for name in one))
    rows = [
        [
            named(name, compared.runs[0].roster.classes),
            *(_cell(one.get(name), compared.intervals.get(k, {}).get(name)) for k, one in enumerate(finals)),
        ]
        for name in names
    ]
    lede = (
        "Of all hospitals' test patients together. In brackets, where the patients are on this machine: the 95 % "
        "interval that other patients of the same hospitals would give (bootstrap over patients)."
    )
    return section("scores", "Final scores", lede, table(["Score", *compared.names], rows))


def _cell(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return NOTHING
    return score(value) + (f" ({score(interval.low)} to {score(interval.high)})" if interval else "")


def _differences(compared: Compared) -> Markup:
    parts: list[Markup] = []
    for place, name in enumerate(compared.names):
        found = compared.differences.get(place)
        if found:
            parts.append(_forest(name, compared, place))
        elif place in compared.unknown:
            words = f"No interval for {name}: {compared.unknown[place]}"
            parts.append(tag("p", words, class_="note"))
    lede = (
        f"Each run minus {compared.names[0]}, on the test patients that both have: both models are scored on the "
        "same samples of patients, so that what is hard for both does not count as chance. An interval that holds 0 "
        "says that these patients do not tell the two apart."
    )
    return section("differences", "How sure the differences are", lede, *parts)


def _forest(name: str, compared: Compared, place: int) -> Markup:
    found = compared.differences[place]
    headline = _headline(compared.runs[0])
    order = sorted(found, key=lambda one: (one != headline, one))
    classes = compared.runs[0].roster.classes
    drawn = [Estimate(named(one, classes), found[one].value, found[one].low, found[one].high) for one in order]
    rows = [
        [named(one, classes), *map(difference, (found[one].value, found[one].low, found[one].high))] for one in order
    ]
    return figure(
        f"{name} minus {compared.names[0]}, {count(compared.patients[place], 'patient')}",
        *(forest([one], difference, 0.0) for one in drawn[:MOST_SCORES_DRAWN]),
        numbers("As numbers", table(["Score", "Difference", "from", "to"], rows)),
    )


def _headline(run: Run) -> str:
    return run.about.headline or "loss"


def _final(run: Run) -> dict[str, float]:
    return dict(run.final["test"].pooled) if "test" in run.final else {}


def _intervals(found: Any) -> dict[str, Any]:
    return dict(_numbers(found))


def _numbers(found: Any) -> Iterator[tuple[str, Any]]:
    for name, one in found.items():
        yield name, {"value": one.value, "low": one.low, "high": one.high}
