"""`wardround privacy`: what a study's privacy will cost, and what it has cost."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from common.errors import StudyError
from common.files.access import write_to
from common.study.study import Study
from experiments.planning.privacy_plan import count, plan_of
from experiments.planning.view import NO_MECHANISM, drawing, sentences, table
from experiments.whole_tables import print_whole
from server.reporting.markup import in_a_line


def show_plan(study: Study, console: Console, json_file: Path | None, plot: Path | None) -> None:
    """Print the plan and write what was asked for. Raises StudyError where the study cannot keep its promise."""
    if plot is not None and plot.suffix != ".svg":
        raise StudyError(f"--plot writes an SVG file: {plot.name} must end with .svg.")
    if study.privacy is None:
        console.print(NO_MECHANISM, highlight=False, markup=False)
        return
    counted = count(study)
    plan = plan_of(counted)
    assert plan is not None
    print_whole(console, table(plan))
    for sentence in sentences(plan, counted):
        console.print(in_a_line(sentence), highlight=False, markup=False)
    if json_file is not None:
        _write(json_file, json.dumps(plan.json(), indent=1) + "\n")
    if plot is not None:
        _write(plot, drawing(plan) + "\n")


def _write(path: Path, text: str) -> None:
    write_to(path, text)
