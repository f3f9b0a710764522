"""From a run's folder to the page of what its model withstands."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from common.adversarial.aims import loss_of
from common.adversarial.inner_step import not_learning
from common.data.cases import Cases, SiteId
from common.errors import StudyError, WardroundError
from common.files.access import is_there
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import REAL, Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.corrupting import SEVERITIES, are_images
from experiments.withstanding.moving import way_of
from experiments.withstanding.page import FIGURES, Withstood, write_withstood
from experiments.withstanding.tests_shown import task_of, tests_of
from server.reporting.wording import count, duration

SECTIONS = ("intent", "example", "hiding", "artefacts", "training")
"""Files of `experiments/withstanding/sections/`, in the order of the page."""
NOTHING_HERE = "nothing can be changed that is not here"
OF_REAL = (
    "The hospitals of this run are real: their cases are on none but their own machines. Run the study in "
    "simulation, on data that you have, and ask again."
)
TRIED = 16
STEPS = 11
"""Passes there and back of the usual ways together: one step, and ten."""


def withstand_run(run: Path, asked: Asked, seconds: float, folder: Path, console: Console) -> tuple[Withstood, Path]:
    """Measure, and write the page. Raises WardroundError where the run's cases or model are not here."""
    if is_there(folder, FIGURES):
        raise StudyError(f"{folder} already holds such a page: name another folder with --out, or remove this one.")
    with console.status("Reading the run"):
        subject = _subject(run)
        tests = tests_of(subject, asked.cases)
    if not tests:
        raise StudyError(f"{NOTHING_HERE}: none of this run's hospitals has a test case.")
    for entry in asked.ways:
        way_of(entry)
    console.print(Text(beforehand(subject, tests, asked, seconds)))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    found: dict[str, Section] = {}
    failed: dict[str, str] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Beginning", total=len(SECTIONS))
        clock = Clock(seconds, lambda words: progress.update(bar, description=words))
        for place, name in enumerate(SECTIONS):
            make = import_module(f"experiments.withstanding.sections.{name}").make
            try:
                made = make(subject, asked, clock.part(1 / max(1, len(SECTIONS) - 1 - place)))
            except WardroundError as error:
                failed[name] = str(error)
                made = None
            if made is not None:
                found[name] = made
            progress.advance(bar)
    withstood = Withstood(subject.title, run.name, found, failed, {site: len(cases) for site, cases in tests.items()})
    return withstood, write_withstood(withstood, folder)


def _subject(run: Path) -> Subject:
    subject = Subject.of(run)
    if not subject.hospitals:
        raise StudyError(f"{NOTHING_HERE}. {OF_REAL if subject.why_none == REAL else subject.why_none}")
    return subject


def beforehand(subject: Subject, tests: Mapping[SiteId, Cases], asked: Asked, seconds: float) -> str:
    """What it will cost, from one pass of a few cases there and back."""
    first, task, network = next(iter(tests.values())), task_of(subject), subject.trained.network
    shapes = [case.shape for case in first.take(np.arange(min(TRIED, len(first)))).pieces("inputs")]
    few = first.take(np.flatnonzero([shape == shapes[0] for shape in shapes])).batch()
    began = perf_counter()
    with not_learning(network):
        loss_of(task, network, few).gradient(few.inputs)
    each = (perf_counter() - began) / len(few)
    cases = sum(map(len, tests.values()))
    artefacts = len(asked.entries) * (len(SEVERITIES) - 1) if are_images(first) else 0
    passes = 1 + artefacts + STEPS * len(asked.sizes_of(is_table=not are_images(first)))
    return (
        f"{count(cases, 'test case')} of {count(len(tests), 'hospital')}, each some {passes} times there and back "
        f"through the network: about {duration(each * passes * cases)} of one core, and nothing new is begun after "
        f"{duration(seconds)} (--seconds)."
    )
