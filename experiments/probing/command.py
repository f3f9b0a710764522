"""From a run's folder to the page of its label-efficiency, and the same on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from common.analyses._probe_scores import ALL
from common.errors import StudyError
from common.files.access import is_there
from experiments.probing.curves import METHODS, Asked, rows_of
from experiments.probing.page import FIGURES, HEAD, Probed, cells, write_probed
from experiments.probing.studied import Studied

SHOWN = (0, 1, 2, 3, 4, 6)
"""Columns for which a narrow terminal has room; all are on the page."""


def probe_run(run: Path, asked: Asked, folder: Path, console: Console) -> tuple[Probed, Path]:
    """Measure, and write the page. Raises WardroundError where the run cannot be probed."""
    if is_there(folder, FIGURES):
        raise StudyError(f"{folder} already holds a probe: name another folder with --folder, or remove this one.")
    studied = Studied.of(run)
    probe = METHODS[asked.method](**asked.options)
    if studied.study.federation.withhold_test and (probe.evaluated == "test" or asked.scratch or asked.tuned):
        raise StudyError(
            "the run's study keeps test cases unscored (federation.withhold_test): probe it on others, with "
            "--option evaluated=validation and without --scratch and --fine-tune."
        )
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    rows = []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("Reading cases", total=asked.steps)

        def advance(words: str) -> None:
            progress.update(shown, description=words)

        for row in rows_of(studied, asked, folder, advance):
            rows.append(row)
            progress.advance(shown)
    probed = Probed(studied.study.title, str(run), asked, tuple(rows))
    return probed, write_probed(probed, folder)


def show(probed: Probed, console: Console) -> None:
    """The table of all hospitals together, and the finding."""
    shown = Table(title="Area under the curve on all hospitals' test cases", title_justify="left", title_style="")
    for place in SHOWN:
        shown.add_column(HEAD[place], justify="right" if place else "left")
    for one in probed.cells:
        if one.site == ALL:
            whole = cells(one)
            shown.add_row(*(Text(whole[place]) for place in SHOWN))
    console.print(shown)
    console.print(Text(probed.finding))
