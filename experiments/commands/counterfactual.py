"""The command that shows what would have been, by a learned causal model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors


def counterfactual(
    run: Annotated[Path, typer.Argument(help="A run folder of task 'deep_scm'.")],
    do: Annotated[
        list[str] | None,
        typer.Option(
            help="What is set: --do thickness=4, of several causes at once --do sex=1,scanner=2. Repeatable: each is "
            "a picture. Without any, every cause goes a spread to each side, or to each of its classes."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for counterfactuals.html, .json and .npz.")] = Path(),
    hospital: Annotated[str, typer.Option(help="Test patients of this simulated hospital alone.")] = "",
    patient: Annotated[str, typer.Option(help="This test patient alone.")] = "",
    images: Annotated[
        Path | None,
        typer.Option(help="An .npz of `images` (N, C, H, W) in 0 to 1 and their `causes` (N, K) instead."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(help="A run folder of a classifier of the same images: how its score moves, by which way."),
    ] = None,
    of: Annotated[str, typer.Option(help="The class whose chance is the score; the last one if not given.")] = "",
    mediated: Annotated[
        bool, typer.Option("--mediated", help="Show what the action does directly, and what indirectly, too.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """What patients' images would look like, had a cause been another: pictures beside the originals, and measured.

    The patients are test patients of the run's simulated hospitals, or come from a file. A research tool: what it
    shows holds under the graph that the study was given, and is no finding about a patient.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from experiments.counterfactuals.conduct import Asked, answer
        from experiments.counterfactuals.persons import Whose

        asked = Asked(tuple(do or ()), Whose(hospital, patient, images), classifier, of, mediated)
        with console.status("Asking what would have been"):
            written = answer(run, asked, out)
        say(written.sentences)
        say([str(written.page.resolve())])
