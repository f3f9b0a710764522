"""From a run's folder to the page of its explanations, within the seconds that it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from common.attribution.gradients import input_gradient
from common.attribution.looks.activations import shown
from common.errors import WardroundError
from common.files.access import private_folder
from experiments.explanations.clock import Clock
from experiments.explanations.methods import Mapped, Method, map_cases, methods_of
from experiments.explanations.page import Explanation, write_explanation
from experiments.explanations.pool import Pool
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.sections import activations, columns, dreams, filters, misunderstandings, sparsity
from experiments.explanations.sections.columns import names_of
from experiments.explanations.sections.maps import Maps
from experiments.explanations.sections.rows import Rows
from experiments.explanations.subject import Subject
from experiments.explanations.verdicts import Verdicts
from server.reporting.wording import count, duration

MAKERS: Mapping[str, tuple[str, Make]] = {
    "columns": ("Columns", columns.make),
    "filters": ("Filters", filters.make),
    "activations": ("Layers", activations.make),
    "dreams": ("Dreams", dreams.make),
    "sparsity": ("Silence", sparsity.make),
    "misunderstandings": ("Misunderstandings", misunderstandings.make),
}
"""By the section's key: its word, should it fail, and what makes it. In the order of the page."""
OF_MAPS, OF_DREAMS = 0.5, 0.6
"""Shares of the seconds that are left: of maps, and afterwards of each section that takes what it gets."""


@dataclass(frozen=True)
class Written:
    """The page, and what it says first."""

    page: Path
    findings: tuple[str, ...]


def explain_run(run: Path, asked: Asked, seconds: float, out: Path, console: Console) -> Written:
    """Measure, and write the page. Raises WardroundError where the run has nothing to explain."""
    began = perf_counter()
    methods = methods_of(asked)
    with console.status("Reading the run"):
        subject = Subject.of(run)
        pool = subject.pool
    for line in beforehand(pool, methods, asked, seconds):
        console.print(Text(line))
    folder = private_folder(out)
    with _progress(console) as progress:
        shown_task = progress.add_task("Beginning", total=1 + len(MAKERS))
        clock = Clock(seconds, lambda words: progress.update(shown_task, description=words))
        found: dict[str, Section] = {}
        lacking: dict[str, str] = {}
        for key, (word, make) in {"columns": MAKERS["columns"], "maps": ("Maps", maps), **MAKERS}.items():
            with refused(lacking, word):
                made = None if key in found else make(subject, asked, clock.part(OF_EACH))
                if made is not None:
                    found[key] = made
            progress.advance(shown_task)
    explanation = Explanation(subject, found, lacking, perf_counter() - began)
    return Written(write_explanation(explanation, folder), tuple(explanation.findings))


def beforehand(pool: Pool | None, methods: tuple[Method, ...], asked: Asked, seconds: float) -> list[str]:
    """What it will cost, in sentences, from one pass of one case through the network and back."""
    most = f"At most about {duration(seconds)} (--seconds)."
    if pool is None:
        return [f"No cases to ask about: the page shows what is inside the network. {most}"]
    one = pool.inputs[:1]
    began = perf_counter()
    shown(pool.answering.network, one)
    forward = perf_counter() - began
    began = perf_counter()
    input_gradient(pool.answering.network, one, pool.answering.aim(one))
    back = perf_counter() - began
    return [
        f"{count(len(pool.told), 'case')} of {pool.held:,} read; up to {asked.cases} are shown, by "
        f"{count(len(methods), 'method')}. One case takes {duration(forward)} forward, {duration(back)} forward and "
        f"back. {most}"
    ]


def _maps(subject: Subject, pool: Pool, mapped: Mapped, verdicts: Verdicts) -> Section:
    if not pool.is_table:
        return Maps(pool, mapped, verdicts)
    names = names_of(subject.trained.source, pool.inputs.shape[1])
    return Rows(pool, mapped, verdicts, names)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
