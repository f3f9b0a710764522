"""From a hospital's own files to the first result: five stories in a fresh environment, by documented commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._first_result_dicom import make_dicom
from experiments.benchmarks._first_result_document import (
    STUDY_FILE,
    Documented,
    documented_commands,
    documented_studies,
    own_data_page,
)
from experiments.benchmarks._first_result_environment import Environment, installed
from experiments.benchmarks._first_result_tables import make_images, make_table
from experiments.benchmarks._first_result_volumes import make_bids, make_nifti
from experiments.benchmarks._first_result_words import what_went_wrong

ENVIRONMENT = "WARDROUND_FIRST_RESULT_ENVIRONMENT"
"""A folder in which the environment is kept, and found by the next call; else it is made anew and removed."""

MOST_COMMANDS, MOST_LINES = 3, 15


@dataclass(frozen=True)
class Story:
    """What a user has. make: writes it, of so many persons a hospital and images of such a side."""

    name: str
    source: str
    make: Callable[[Path, int, int], None]
    persons: int
    side: int


STORIES = (
    Story("a CSV table, three sites", "table", make_table, 60, 0),
    Story("PNG folders with masks", "images", make_images, 12, 240),
    Story("BIDS with sessions", "bids", make_bids, 8, 64),
    Story("three DICOM series a site, SEG", "dicom", make_dicom, 3, 128),
    Story("NIfTI with a CSV of sites", "nifti", make_nifti, 8, 64),
)


@dataclass(frozen=True)
class Told:
    """How one story went. wrong: in words, "" where nothing did."""

    commands: int
    lines: int
    seconds: float
    wrong: str


def measure(console: Console) -> Measured:
    """Install as `make demo` does, then let every story's user write the documented study and type the commands."""
    page = own_data_page()
    studies, commands = documented_studies(page), documented_commands(page)
    told: dict[str, Told] = {}
    with (
        TemporaryDirectory(prefix="wardround-first-") as temporary,
        Progress(console=console, transient=True) as shown,
    ):
        place = Path(temporary)
        bar = shown.add_task("installing into a fresh environment, some minutes", total=len(STORIES) + 1)
        environment = installed(Path(os.environ.get(ENVIRONMENT) or place / "environment"))
        for story in STORIES:
            shown.update(bar, advance=1, description=story.name)
            told[story.name] = tell(story, studies[story.source], commands, environment, place / story.source)
        shown.advance(bar)
    rows = [_row(name, one, environment) for name, one in told.items()]
    return Measured("From own files to the first result", rows, _targets(told), (_installation(environment), NOTE))


NOTE = (
    "lines: of the study that the user writes. s: of all commands together, from the first to the report. The data "
    f"are synthetic, in the form of hospitals' exports. {ENVIRONMENT} names a folder to keep the environment in."
)


def tell(story: Story, study: Documented, commands: tuple[str, ...], environment: Environment, working: Path) -> Told:
    """One story, in a working folder and a home of its own that hold nothing but the data."""
    home = working / "home"
    home.mkdir(parents=True)
    story.make(working / study.folder, story.persons, story.side)
    (working / STUDY_FILE).write_text(study.text, encoding="utf-8")
    seconds, wrong = 0.0, ""
    for command in commands:
        done = environment.run(command, working, home)
        seconds += done.seconds
        if done.code:
            wrong = f"`{command}` ended with {done.code}: {done.last_words}"
            break
    return Told(len(commands), study.lines, seconds, wrong or what_went_wrong(working / "runs", story.persons))


def _row(name: str, told: Told, environment: Environment) -> dict[str, Cell]:
    total = None if environment.seconds is None else round(told.seconds + environment.seconds)
    return {
        "story": name,
        "commands": told.commands,
        "lines": told.lines,
        "s": round(told.seconds, 1),
        "s with installation": total,
        "went wrong": told.wrong or "nothing",
    }


def _installation(environment: Environment) -> str:
    if environment.seconds is None:
        return "the environment was there already; its installation was not timed."
    return f"installation: {environment.seconds:.0f} s, once, by the Makefile's own target, one command more."


def _targets(told: dict[str, Told]) -> list[Target]:
    commands, lines = (max(getattr(one, what) for one in told.values()) for what in ("commands", "lines"))
    went = sum(not one.wrong for one in told.values())
    return [
        Target("commands a story", commands, None, None, f"at most {MOST_COMMANDS}", commands <= MOST_COMMANDS),
        Target("lines a study", lines, None, None, f"at most {MOST_LINES}", lines <= MOST_LINES),
        Target("stories with a result", went, None, None, f"all {len(told)}", went == len(told)),
    ]


benchmark: Benchmark = measure
