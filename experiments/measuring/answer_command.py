"""`wardround metrics` of two CSV files: how good answers about whole cases are, with intervals by patient."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from common.errors import ImageError
from common.files.access import write_to
from common.metrics.definitions import other_names
from common.seeding import generator
from common.study.spelling import unknown
from experiments.measuring.answers import NAMES, Answers, curves, figures, read_answers
from experiments.measuring.command import WIDTH_IN_A_FILE, Outputs, spell, spell_interval
from experiments.measuring.error_page import STYLE
from experiments.measuring.metrics_table import spelled, write_lines
from experiments.measuring.summaries import read_patients
from experiments.measuring.summary_page import STYLE as TABLES
from experiments.measuring.summary_page import curve
from experiments.whole_tables import print_whole
from server.reporting.markup import visible

SEED, RESAMPLES = 0, 1000
BINS = 10


@dataclass(frozen=True)
class Figure:
    """of: a class, against all others, or "" for all. undefined: draws of patients in which there was no figure."""

    figure: str
    of: str
    value: float
    low: float
    high: float
    undefined: int


def compare_answers(
    prediction: Path, truth: Path, console: Console, asked: str | None, patients: Path | None, outputs: Outputs
) -> None:
    """Measure, print the table, and write what is asked for. Raises ImageError for what does not fit."""
    answers = read_answers(prediction, truth)
    names = _names(asked)
    whose = list(answers.cases)
    if patients is not None:
        told = read_patients(patients, answers.cases)
        whose = [told[case] for case in answers.cases]
    lines = measured(answers, names, whose, console)
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(wide, _table(lines, len(answers.cases), len({*whose})))
    wrong = [case for case, right in zip(answers.cases, answers.predicted == answers.truth, strict=True) if not right]
    if outputs.csv_file is not None:
        write_lines([asdict(line) for line in lines], outputs.csv_file)
    if outputs.json_file is not None:
        record = {
            "cases": len(answers.cases),
            "patients": len({*whose}),
            "classes": answers.classes,
            "confusion": answers.table.tolist(),
            "figures": [asdict(line) for line in lines],
            "wrong": wrong,
            "reliability": {word: [asdict(one) for one in bins] for word, bins in curves(answers).items()},
        }
        write_to(outputs.json_file, json.dumps(spelled(record), indent=1) + "\n")
    if outputs.figure is not None:
        write_to(outputs.figure, _page(answers, lines, wrong))


def measured(answers: Answers, names: Sequence[str], whose: Sequence[str], console: Console) -> list[Figure]:
    """Each figure with its 95 % interval, percentiles of draws of patients with all of their cases."""
    groups = np.unique(np.asarray(whose), return_inverse=True)[1]
    own = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    found = list(figures(answers, names))
    rng = generator(SEED, "answers")
    drawn = np.full((len(found), RESAMPLES if len(own) > 1 else 0), math.nan)
    for draw in track(range(drawn.shape[1]), "intervals", console=console, transient=True):
        some = answers.drawn(np.concatenate([own[place] for place in rng.integers(0, len(own), len(own))]))
        drawn[:, draw] = [figure(some) for _, _, figure in found]
    return [
        Figure(name, of, figure(answers), *_ends(draws), int(np.isnan(draws).sum()))
        for (name, of, figure), draws in zip(found, drawn, strict=True)
    ]


def _ends(draws: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return math.nan, math.nan
    low, high = np.percentile(kept, (2.5, 97.5))
    return float(low), float(high)


def _names(asked: str | None) -> tuple[str, ...]:
    if asked is None or asked.strip() == "all":
        return NAMES
    found: dict[str, None] = {}
    for word in filter(None, map(str.strip, asked.split(","))):
        spelled_out = word.lower().replace("-", "_")
        name = spelled_out if spelled_out in NAMES else other_names().get(spelled_out, "")
        name = "f1" if name == "dice" else name
        if name not in NAMES:
            raise unknown("metric of cases", word, NAMES)
        found[name] = None
    if not found:
        raise ImageError("no metric was named; leave --metrics out for all of them.")
    return tuple(found)


def _table(lines: Sequence[Figure], cases: int, patients: int) -> Table:
    caption = (
        f"{cases} cases of {patients} patients; [ ]: 95 %, bootstrap over patients. of: a class against all others. "
        "-: not defined, 0 / 0; draws so: of how many draws."
    )
    table = Table(title="Answers", caption=caption, caption_justify="left")
    for heading in ("figure", "of"):
        table.add_column(heading)
    for heading in ("value", "95 %", "draws not defined"):
        table.add_column(heading, justify="right")
    for line in lines:
        cells = (spell(line.value), Text(spell_interval((line.low, line.high))), str(line.undefined))
        table.add_row(line.figure, Text(visible(line.of)), *cells)
    return table


def _page(answers: Answers, lines: Sequence[Figure], wrong: Sequence[str]) -> str:
    rows = "".join(
        f'<tr><td class="word">{line.figure}</td><td class="word">{escape(line.of) or "all"}</td>'
        f"<td>{spell(line.value)}</td><td>{spell(line.low)} to {spell(line.high)}</td></tr>"
        for line in lines
    )
    head = '<th class="word">figure</th><th class="word">of</th><th>value</th><th>95 %</th>'
    drawn = "".join(f"<h3>{escape(word)}</h3>{curve(bins, BINS, 'cases')}" for word, bins in curves(answers).items())
    listed = ", ".join(map(escape, wrong[:200])) or "none"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>How good answers are</title>'
        f"<style>{STYLE}{TABLES}</style><h1>How good answers are</h1><p>{len(answers.cases)} cases. A figure of a "
        "class is that of the class against all others; 95 %: where other patients of the same kind would put it.</p>"
        f'<table class="all"><tr>{head}</tr>{rows}</table><h2>What was answered</h2>{_confusion(answers)}'
        f"<p>Wrong: {listed}.</p>{'<h2>Whether chances are what happens</h2>' if drawn else ''}{drawn}</html>\n"
    )


def _confusion(answers: Answers) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in answers.classes)
    rows = "".join(
        f'<tr><td class="word">{escape(word)}</td>{"".join(f"<td>{count}</td>" for count in row)}</tr>'
        for word, row in zip(answers.classes, answers.table.tolist(), strict=True)
    )
    return f'<table class="all"><tr><th class="word">truth \\ answer</th>{head}</tr>{rows}</table>'
