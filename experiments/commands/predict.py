"""The command that puts a trained network to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors

if TYPE_CHECKING:
    from experiments.prediction.results import Results

LOST = 3


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            help="A run folder with a trained model, an exported bundle, or a model in a hospital's models/."
        ),
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="NIfTI files, folders of DICOM series, images, tables or .npz files, or folders of them. Several "
            "files of one case, one a channel, are parted by commas."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Write the answers into this folder.")],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of every class in every voxel too.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace answers that are there already.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Use a run's model on new data: outlines in the patient's own space, or a table of answers.

    New files are prepared exactly as the study's source prepared those that were learned from. Exits with 3 where a
    file could not be used: it is named with its reason, and stops no other. A research tool, not a medical device.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from rich.progress import Progress

        from experiments.prediction.conduct import Wanted
        from experiments.prediction.conduct import predict as predicted
        from experiments.prediction.trained import load_trained
        from server.reporting.markup import in_a_line, visible

        trained = load_trained(run)
        say([trained.remark] if trained.remark else [])
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("predicting", total=None)

            def heard(name: str, number: int, count: int) -> None:
                words = visible(in_a_line(name)).replace("[", r"\[")
                progress.update(bar, description=words[:60], completed=number - 1, total=count)

            results = predicted(trained, inputs, out, Wanted(probabilities, overwrite), heard)
        _tell(results)
        if results.left_out:
            raise typer.Exit(LOST)


def _tell(results: Results) -> None:
    remarks = [f"{one['case']}: {remark}." for one in results.cases for remark in one["remarks"]]
    say(dict.fromkeys(remarks))
    say(f"Not used: {one.name}: {one.reason}" for one in results.left_out)
    count = len(results.cases)
    say([f"{count} answer{'s' * (count != 1)}, {len(results.written)} files in {results.folder.resolve()}"])
