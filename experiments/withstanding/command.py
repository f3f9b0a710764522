"""From a run's folder to the page of what its model withstands."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import StudyError, WardroundError
from common.files.access import is_there
from experiments.explanations.clock import Clock
from experiments.explanations.section import Section
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.page import FIGURES, Withstood, write_withstood

SECTIONS = ("intent", "example", "artefacts")
"""Files of `experiments/withstanding/sections/`, in the order of the page."""
NOTHING_HERE = "nothing can be changed that is not here"


def withstand_run(run: Path, asked: Asked, seconds: float, folder: Path, console: Console) -> tuple[Withstood, Path]:
    """Measure, and write the page. Raises WardroundError where the run's cases or model are not here."""
    if is_there(folder, FIGURES):
        raise StudyError(f"{folder} already holds such a page: name another folder with --out, or remove this one.")
    subject = Subject.of(run)
    if not subject.hospitals:
        raise StudyError(f"{NOTHING_HERE}. {subject.why_none}")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    found: dict[str, Section] = {}
    failed: dict[str, str] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("Reading cases", total=None)
        clock = Clock(seconds, lambda words: progress.update(shown, description=words))
        for place, name in enumerate(SECTIONS):
            make = import_module(f"experiments.withstanding.sections.{name}").make
            try:
                made = make(subject, asked, clock.part(1 / (len(SECTIONS) - place)))
            except WardroundError as error:
                failed[name] = str(error)
                continue
            if made is not None:
                found[name] = made
    if not found and not failed:
        raise StudyError("the run's cases are no images, and there is nothing here that would change them.")
    withstood = Withstood(subject.title, str(run), found, failed)
    return withstood, write_withstood(withstood, folder)
