"""The command that shows what a run's model looks at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors

LOST = 3


def explain(
    run: Annotated[
        Path,
        typer.Argument(
            help="A run folder with a trained model, an exported bundle, or a model in a hospital's models/."
        ),
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Cases of your own, as `wardround predict` takes them; cases of the run if not given."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Of `wardround list attributions`, or a file of yours. Repeatable; all if not given."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for explain.html and .json; the run's own. Of your own cases it must be named."),
    ] = None,
    by_hospital: Annotated[
        Path | None,
        typer.Option(help="Folder of the answer that real hospitals gave to the question attribution_maps."),
    ] = None,
    cases: Annotated[int, typer.Option(min=1, max=48, help="How many cases are shown.")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="That it may take, about.")] = 120,
    seed: Annotated[int, typer.Option(min=0, help="Other draws: of noise to dream from, of columns mixed up.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print explain.json, and nothing else.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Show what a run's model looks at, at which hospital, and what to distrust: a page for who never trained one.

    Maps of test cases, by several methods, each with what it was found to be worth; filters, layers, dreams. Single
    cases are shown of simulated hospitals, and of files that you name: of a real hospital no map of a case leaves.
    Exits with 3 where a file could not be used.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from rich.console import Console

        from common.files.access import read_text
        from experiments.explanations.command import explain_run
        from experiments.explanations.page import FIGURES
        from experiments.explanations.section import Asked

        if inputs and (out is None or out.resolve() == run.resolve()):
            raise StudyError(
                "a page of your own cases shows them, and a run's folder may be handed on: name a folder that stays "
                "with them, by --out."
            )
        asked = Asked(tuple(method or ()), cases, seed, by_hospital, tuple(inputs or ()))
        quiet = Console(stderr=True) if as_json else console
        written = explain_run(run, asked, seconds, out or run, quiet)
        if as_json:
            text = read_text(written.page.parent, FIGURES)
            typer.echo(json.dumps(json.loads(text), indent=1, ensure_ascii=False))
        else:
            say(f"Not used: {one.name}: {one.reason}" for one in written.left_out)
            say([*written.findings, f"Page: {written.page.resolve()}"])
        if written.left_out:
            raise typer.Exit(LOST)
