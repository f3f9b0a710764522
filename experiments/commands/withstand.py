"""The command that shows what a run's model withstands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors


def withstand(
    run: Annotated[Path, typer.Argument(help="A run folder with a model, whose hospitals' data are here.")],
    corruption: Annotated[
        list[str] | None,
        typer.Option(help="What is done to images: --corruption motion. Repeatable; names or files."),
    ] = None,
    perturbation: Annotated[
        list[str] | None,
        typer.Option(help="How somebody misleads it, of `wardround list perturbations` or a file. Repeatable."),
    ] = None,
    modality: Annotated[str, typer.Option(help="ct, mr, xray, microscopy or photograph: all artefacts of it.")] = "",
    size: Annotated[
        list[float] | None,
        typer.Option(
            help="Largest change on purpose: a share of an image's range, deviations of a table's column. Repeatable."
        ),
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="Test cases of each hospital, at most.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="After which nothing new is begun.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of artefacts and of random starts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the page; withstand in the run's folder.")] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Another run of the same task: both are tried alike, and compared.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print withstand.json, and nothing else.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Show how much a run's model loses: by artefacts of scanners and patients, and by changes made on purpose.

    Scores of every hospital's test cases as an artefact grows, and as an attacker may change more, on one page.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from rich.console import Console

        from experiments.withstanding.asked import Asked
        from experiments.withstanding.command import withstand_run
        from experiments.withstanding.page import figures_of, findings

        sizes = tuple(sorted(set(size or ())))
        if not all(0 < one <= 10 for one in sizes):
            raise StudyError(f"--size is above 0 and at most 10; it was given {', '.join(map(str, sizes))}.")
        asked = Asked(tuple(corruption or ()), modality, sizes, cases, seed, tuple(perturbation or ()))
        quiet = Console(stderr=True) if as_json else console
        found, page, compared = withstand_run(run, asked, seconds, out or run / "withstand", quiet, beside)
        if as_json:
            typer.echo(json.dumps(figures_of(found, compared), indent=1, ensure_ascii=False))
            return
        say([*findings(found, compared), f"Page: {page.resolve()}"])
