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
from common.study.catalogue import CORRUPTIONS
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import REAL, Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.compared import Compared
from experiments.withstanding.corrupting import SEVERITIES, are_images
from experiments.withstanding.moving import way_of
from experiments.withstanding.page import FIGURES, write_withstood
from experiments.withstanding.shown import cases_shown, task_of
from experiments.withstanding.withstood import Withstood
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


def withstand_run(
    run: Path, asked: Asked, seconds: float, folder: Path, console: Console, beside: Path | None = None
) -> tuple[Withstood, Path, Compared | None]:
    """Measure, and write the page. beside: another run, which has half of the seconds.

    Raises WardroundError where a run's cases or model are not here, or the two answer other questions.
    """
    if is_there(folder, FIGURES):
        raise StudyError(f"{folder} already holds such a page: name another folder with --out, or remove this one.")
    _demand_known(asked)
    with console.status("Reading the run"):
        read = [(_subject(one), one.name) for one in (run, *([] if beside is None else [beside]))]
    if beside is not None:
        _demand_comparable(*(subject for subject, _ in read))
    found = [_measured(subject, name, asked, seconds / len(read), console) for subject, name in read]
    compared = None
    if beside is not None:
        compared = Compared(found[0], found[1], _same(*(cases_shown(subject, asked.cases) for subject, _ in read)))
    return found[0], write_withstood(found[0], folder, compared), compared


def _measured(subject: Subject, run: str, asked: Asked, seconds: float, console: Console) -> Withstood:
    tests = cases_shown(subject, asked.cases)
    if not tests:
        raise StudyError(f"{NOTHING_HERE}: none of the hospitals of {run} has a test case.")
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
    return Withstood(subject.title, run, found, failed, {site: len(cases) for site, cases in tests.items()})


def _demand_comparable(own: Subject, other: Subject) -> None:
    """Raise StudyError where one number of the one says nothing beside that of the other."""
    scores = [task_of(one).headline for one in (own, other)]
    shapes = [one.trained.learned.shape.inputs for one in (own, other)]
    if scores[0] != scores[1] or len(shapes[0]) != len(shapes[1]):
        raise StudyError(
            f"the two runs cannot be compared: {own.title!r} is scored by {scores[0]} on inputs of shape "
            f"{shapes[0]}, and {other.title!r} by {scores[1]} on {shapes[1]}. Name a run of the same task "
            "with --beside."
        )


def _same(own: Mapping[SiteId, Cases], other: Mapping[SiteId, Cases]) -> bool:
    """Whether these are the very same inputs."""
    return own.keys() == other.keys() and all(
        len(cases) == len(other[site])
        and all(
            np.array_equal(one, two)
            for one, two in zip(cases.pieces("inputs"), other[site].pieces("inputs"), strict=True)
        )
        for site, cases in own.items()
    )


def _subject(run: Path) -> Subject:
    subject = Subject.of(run)
    if not subject.hospitals:
        raise StudyError(f"{NOTHING_HERE}. {OF_REAL if subject.why_none == REAL else subject.why_none}")
    return subject


def _demand_known(asked: Asked) -> None:
    """Raise WardroundError before anything is measured."""
    for entry in asked.ways:
        way_of(entry)
    for entry in asked.entries:
        CORRUPTIONS.build(entry)


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
