"""What a study can name, and this version."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table

from common import __version__
from common.study.catalogue import (
    AGGREGATIONS,
    ANALYSES,
    ATTRIBUTIONS,
    AUGMENTATIONS,
    CORRUPTIONS,
    DESIGNS,
    ENGINES,
    LOSSES,
    MECHANISMS,
    METHODS,
    NETWORKS,
    OPERATORS,
    PARTITIONS,
    PERTURBATIONS,
    RECIPES,
    REGULARISERS,
    SOURCES,
    STRATEGIES,
    TASKS,
    Catalogue,
)
from common.study.spelling import unknown
from experiments.catalogue import ADVERSARIES, ATTACKS, BENCHMARKS, QUESTIONS
from experiments.commands._study_text import STUDIES
from experiments.commands._terminal import console, spoken_errors

KINDS: dict[str, Catalogue] = {
    "tasks": TASKS,
    "networks": NETWORKS,
    "losses": LOSSES,
    "augmentations": AUGMENTATIONS,
    "corruptions": CORRUPTIONS,
    "operators": OPERATORS,
    "designs": DESIGNS,
    "methods": METHODS,
    "regularisers": REGULARISERS,
    "attributions": ATTRIBUTIONS,
    "perturbations": PERTURBATIONS,
    "recipes": RECIPES,
    "sources": SOURCES,
    "partitions": PARTITIONS,
    "strategies": STRATEGIES,
    "aggregations": AGGREGATIONS,
    "mechanisms": MECHANISMS,
    "engines": ENGINES,
    "analyses": ANALYSES,
    "attacks": ATTACKS,
    "questions": QUESTIONS,
    "adversaries": ADVERSARIES,
    "benchmarks": BENCHMARKS,
}


def list_(
    kind: Annotated[str | None, typer.Argument(help="studies, tasks, strategies, ...; all if not given.")] = None,
) -> None:
    """List studies and everything a study can name, one line each."""
    with spoken_errors():
        if kind is not None and kind not in {"studies", *KINDS}:
            raise unknown("kind", kind, {"studies", *KINDS})
        for title in [kind] if kind else ["studies", *KINDS]:
            table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
            table.add_column(style="bold", no_wrap=True)
            table.add_column()
            for name, summary in _entries(title):
                table.add_row(name, summary)
            console.print(table)


def _entries(kind: str) -> Iterator[tuple[str, str]]:
    if kind != "studies":
        catalogue = KINDS[kind]
        spelled = {n: n.replace("_", "-") if kind == "benchmarks" else n for n in catalogue.names()}
        yield from ((shown, catalogue.summary(name)) for name, shown in spelled.items())
        origins = catalogue.origins()
        for name, value in catalogue.plugged().items():
            yield name, f"Plug-in {value}" + (f", of {origins[name]}." if origins[name] else ".")
        if catalogue is LOSSES:
            yield "own.py:NAME", f"A function of your own; `wardround new {catalogue.kind} NAME` writes one."
        return
    for path in sorted(STUDIES.glob("*.toml")):
        yield path.stem, str(tomllib.loads(path.read_text(encoding="utf-8")).get("title", ""))


def version() -> None:
    """Print the version, and the digest of the program that a hospital would run from here."""
    from common.study.program import this_program

    console.print(__version__)
    console.print(this_program().sentence, highlight=False, soft_wrap=True)


def say_version() -> None:
    """The version alone."""
    console.print(__version__)
