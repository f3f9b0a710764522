"""`wardround describe`, help and names: what the command line says of itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from common import __version__
from common.learning.client_work import Training
from common.learning.schedules import Schedule
from common.study.audit_settings import Audit
from common.study.federation import Federation
from common.study.options import Entry
from common.study.program import this_program
from common.study.split_settings import Split
from common.study.start import Start
from common.study.stopping import Stopping
from common.study.study import Baselines, Study
from experiments.cli import cli
from experiments.commands.lists import KINDS
from experiments.described import Option, options_of

ENTRIES = [(kind, name) for kind, catalogue in KINDS.items() for name in catalogue.names()]


def said(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, list(words), env={"COLUMNS": "200", "TERM": "dumb"})
    return result.exit_code, result.output


@dataclass(frozen=True)
class Base:
    """What both share.

    size: of a side, in mm.
    """

    size: int = 4


@dataclass(frozen=True)
class Example(Base):
    """low and high: the ends. `mode` says whether both count. names: one
    a hospital; what has none is left out. network: see networks.
    """

    low: float = 0.5
    high: float | None = None
    mode: Literal["open", "closed"] = "open"
    names: tuple[str, ...] = ("a", "b")
    network: Entry = field(default_factory=lambda: Entry("unet"))


@dataclass(frozen=True)
class Needing:
    folder: str


def test_options_are_read_from_fields_and_docstrings() -> None:
    assert list(options_of(Example)) == [
        Option("size", "whole number", "4", "of a side, in mm."),
        Option("low", "number", "0.5", "the ends. `mode` says whether both count."),
        Option("high", "number or nothing", "none", "the ends. `mode` says whether both count."),
        Option("mode", '"open" or "closed"', '"open"', "`mode` says whether both count."),
        Option("names", "list of text", '["a", "b"]', "one a hospital; what has none is left out."),
        Option("network", "name, or table with a name and options", '"unet"', "see networks."),
    ]
    assert list(options_of(Needing)) == [Option("folder", "text", "needed", "")]


@pytest.mark.parametrize(("kind", "name"), ENTRIES, ids="-".join)
def test_every_entry_is_described_with_all_its_options(kind: str, name: str) -> None:
    code, text = said("describe", kind, name)
    assert code == 0, text
    entry = KINDS[kind].load(name)
    if isinstance(entry, type) and is_dataclass(entry):
        for option in options_of(entry):
            assert f"  {option.name}  (" in text
            assert len(option.meaning) >= len("how many."), f"{kind} {name}: no text says what {option.name} means"


def test_every_setting_of_a_study_has_a_meaning() -> None:
    for part in (Study, Training, Federation, Split, Baselines, Audit, Stopping, Start, Schedule):
        for option in options_of(part):
            assert option.meaning, f"{part.__name__}.{option.name}"


def test_a_loss_of_ones_own_is_described_by_the_word_that_a_study_has_for_it() -> None:
    names = [option.name for option in options_of(KINDS["tasks"].load("classification"))]
    assert "loss" in names and "own_loss" not in names


def test_a_kind_may_be_said_in_the_singular_and_alone() -> None:
    assert said("describe", "source", "nifti") == said("describe", "sources", "nifti")
    assert said("describe", "source") == said("list", "sources")


def test_the_parts_of_a_study_are_described() -> None:
    assert "passes over the training cases" in said("describe", "study", "training")[1]
    assert "Parts: audit" in said("describe", "study")[1]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("describe", "source", "nift"), "did you mean 'nifti'?"),
        (("describe", "sorce", "nifti"), "did you mean 'source'?"),
        (("describe", "study", "trainin"), "did you mean 'training'?"),
        (("describe", "benchmark", "mnist-round"), "did you mean 'mnist-rounds'?"),
        (("bench", "mnist_round"), "did you mean 'mnist-rounds'?"),
        (("describe", "engine", "proceses"), "did you mean 'processes'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(words: tuple[str, ...], answer: str) -> None:
    code, text = said(*words)
    assert (code, answer in text) == (1, True), text


def test_the_version_is_an_option_too() -> None:
    assert said("--version") == (0, f"{__version__}\n")
    status, output = said("version")
    assert (status, output.splitlines()[0]) == (0, __version__) and this_program().digest in output


def commands(group: typer.core.TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(cli)))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_what_every_argument_and_option_means(path: tuple[str, ...]) -> None:
    code, text = said(*path, "--help")
    shown = " ".join(text.replace("│", " ").split())
    assert code == 0
    assert " ".join((inspect.getdoc(COMMANDS[path].callback) or "").split()) in shown  # type: ignore[attr-defined]
    for parameter in COMMANDS[path].params:  # type: ignore[attr-defined]
        if not getattr(parameter, "hidden", False) and parameter.name != "help":
            assert parameter.help, f"{path} {parameter.name} has no help"
            assert " ".join(parameter.help.split())[:40] in shown, parameter.name
