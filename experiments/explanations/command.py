"""From a run's folder to the page of its explanations, within the seconds that it may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from common.attribution.gradients import input_gradient
from common.attribution.looks.activations import shown
from common.data.cases import Quarantined
from common.errors import WardroundError
from common.files.access import demand_writable, private_folder
from experiments.explanations.clock import Clock
from experiments.explanations.methods import Method, map_cases, methods_of
from experiments.explanations.page import PAGE, Explanation, write_explanation
from experiments.explanations.pool import Pool
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.sections import (
    ablation,
    activations,
    columns,
    dreams,
    filters,
    hospitals,
    misunderstandings,
    sparsity,
)
from experiments.explanations.sections.columns import names_of
from experiments.explanations.sections.distrust import Distrust
from experiments.explanations.sections.maps import Maps
from experiments.explanations.sections.rows import Rows
from experiments.explanations.subject import Subject
from experiments.explanations.verdicts import judge
from server.reporting.wording import count, duration

INSIDE: Mapping[str, tuple[str, Make]] = {
    "hospitals": ("At which hospital", hospitals.make),
    "ablation": ("Left out", ablation.make),
    "filters": ("Filters", filters.make),
    "activations": ("Layers", activations.make),
    "dreams": ("Dreams", dreams.make),
    "sparsity": ("Silence", sparsity.make),
    "misunderstandings": ("Misunderstandings", misunderstandings.make),
}
"""After the maps, by the section's key: its word, should it fail, and what makes it. In the order of the page."""
BEFORE: Mapping[str, tuple[str, Make]] = {"columns": ("Columns", columns.make)}
OF_MAPS, OF_TESTS, OF_EACH = 0.35, 0.55, 0.7
"""Shares of the seconds that are left: of maps, of their tests, and of each section that takes what it gets."""


@dataclass(frozen=True)
class Written:
    """The page, what it says first, and files that could not be used."""

    page: Path
    findings: tuple[str, ...]
    left_out: tuple[Quarantined, ...] = ()


@dataclass
class _Making:
    """Sections as they are made. done: told after each."""

    subject: Subject
    asked: Asked
    clock: Clock
    done: Callable[[], None]
    found: dict[str, Section] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    def add(self, makers: Mapping[str, tuple[str, Make]]) -> None:
        """One after the other; what one refuses stands on the page in its words."""
        for key, (word, make) in makers.items():
            try:
                made = make(self.subject, self.asked, self.clock.part(OF_EACH))
            except WardroundError as error:
                self.lacking[word] = str(error)
                made = None
            if made is not None:
                self.found[key] = made
            self.done()

    def add_maps(self, pool: Pool, methods: tuple[Method, ...]) -> None:
        """Maps, and what they were found to be worth: two sections of one measurement."""
        mapped = map_cases(pool, methods, self.asked, self.clock.part(OF_MAPS))
        verdicts = judge(pool, mapped, self.asked.seed, self.clock.part(OF_TESTS))
        if pool.is_table:
            names = names_of(self.subject.trained.source, pool.inputs.shape[1])
            self.found["maps"] = Rows(pool, mapped, verdicts, names)
        else:
            self.found["maps"] = Maps(pool, mapped, verdicts)
        self.found["distrust"] = Distrust(mapped, verdicts)
        self.done()


def explain_run(run: Path, asked: Asked, seconds: float, out: Path, console: Console) -> Written:
    """Measure, and write the page. Raises WardroundError where the run has nothing to explain."""
    began = monotonic()
    methods = methods_of(asked)
    demand_writable(out / PAGE)
    with console.status("Reading the run"):
        subject = Subject.of(run, asked.inputs)
        pool = subject.pool
    for line in beforehand(pool, methods, asked, seconds):
        console.print(Text(line))
    with _progress(console) as progress:
        bar = progress.add_task("Beginning", total=1 + len(BEFORE) + len(INSIDE))
        clock = Clock(seconds, lambda words: progress.update(bar, description=words), began)
        making = _Making(subject, asked, clock, lambda: progress.advance(bar))
        making.add(BEFORE)
        if pool is not None:
            making.add_maps(pool, methods)
        making.add(INSIDE)
    explanation = Explanation(subject, making.found, making.lacking, monotonic() - began)
    page = write_explanation(explanation, private_folder(out))
    return Written(page, tuple(explanation.findings), subject.own.left_out if subject.own else ())


def beforehand(pool: Pool | None, methods: tuple[Method, ...], asked: Asked, seconds: float) -> list[str]:
    """What it will cost, in sentences, from one pass of one case through the network and back."""
    most = f"It takes at most about {duration(seconds)} (--seconds)."
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
        f"{count(len(methods), 'method')}. One case takes {duration(forward)} through the network, "
        f"{duration(back)} with the way back. {most}"
    ]


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
