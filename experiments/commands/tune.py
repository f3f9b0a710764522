"""The command that chooses settings on validation cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, say, spoken_errors


def tune(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    over: Annotated[
        list[str],
        typer.Option(help="A setting and its values: --over training.weight_decay=0,0.01,0.1. Several make a grid."),
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting of all, as for run.")] = None,
    one_standard_error: Annotated[
        bool,
        typer.Option(
            "--one-standard-error",
            help="Choose the last listed that is within one standard error of the best: list the simplest last.",
        ),
    ] = False,
    replicates: Annotated[
        int,
        typer.Option(
            min=0, help="Models a candidate, of other draws of the training patients: shows bias and variance."
        ),
    ] = 0,
    folder: Annotated[Path | None, typer.Option(help="Of all runs; runs/<study>-tuned/<time> if not given.")] = None,
) -> None:
    """Choose settings by the score of all hospitals' validation patients, then score test patients by the chosen one.

    Runs the study once for every value, or every combination. Test patients are withheld until the choice is made.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.tuning.conduct import refuse_untunable, tune
        from experiments.tuning.grid import candidates
        from experiments.tuning.page import write_choice
        from server.app import new_default_folder

        if replicates == 1:
            raise StudyError("one replicate has no variance: --replicates takes 2 or more.")
        found = candidates(over)
        runs = len(found) * (1 + replicates) + 1
        asked = [asked_study(study, [*(set_ or []), *one.settings]) for one in found]
        refuse_untunable(asked[0].study, runs)
        say([*asked[0].remarks, f"{runs} runs: {len(found)} candidates, and the chosen one once more, whole."])
        studies = [(one, each.study) for one, each in zip(found, asked, strict=True)]
        place = folder or new_default_folder(f"{asked[0].name}-tuned")
        with console.status("Tuning") as status:
            tuned = tune(studies, asked[0].name, place, status.update, one_standard_error, replicates)
        page = write_choice(tuned)
        best = tuned.tried[tuned.chosen]
        say([f"Chosen: {', '.join(best.candidate.settings)}", f"Page: {page.resolve()}"])
