"""From an ablation to its page, with its cost said beforehand and a bar while it runs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from common.files.access import is_there, private_folder
from common.files.json_files import read_table
from experiments.ablating.conduct import Ablation
from experiments.ablating.figures import Figures
from experiments.ablating.page import write_page
from server.reporting.wording import count, duration


def conduct(ablation: Ablation, console: Console) -> tuple[Figures, Path]:
    """Say, run, write. Raises WardroundError where a whole run cannot be."""
    private_folder(ablation.folder)
    console.print(Text(cost(ablation)))
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Beginning", total=ablation.runs)
        found = ablation.conducted(lambda words, done, _: progress.update(bar, description=words, completed=done))
    figures = Figures.of(found)
    return figures, write_page(figures, ablation.folder)


def cost(ablation: Ablation) -> str:
    """Before anything is trained: how many runs, and, where one was timed, how long."""
    missing, seeds = ablation.missing(), len(ablation.seeds)
    runs = f"{count(ablation.runs, 'run')}: the whole study and {len(ablation.variants)} without something"
    runs += f", for {count(seeds, 'seed')}" if seeds > 1 else ""
    there = f"; {ablation.runs - missing} are there already" if missing < ablation.runs else ""
    if not missing:
        return f"{runs}; all are there already."
    one = _seconds(ablation.run)
    time = f"about {duration(one * missing)}, by what the run took" if one else f"{missing} times as long as a run"
    return f"{runs}{there}. To be trained: {missing}, {time}."


def _seconds(run: Path | None) -> float | None:
    if run is None or not is_there(run, "about.json"):
        return None
    seconds = read_table(run, "about.json").get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None
