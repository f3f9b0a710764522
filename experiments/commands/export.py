"""The command that makes a trained network ready for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import say, spoken_errors


def export(
    run: Annotated[Path, typer.Argument(help="A run folder with a trained model.")],
    onnx: Annotated[Path | None, typer.Option(help="Write an ONNX file here.")] = None,
    torchscript: Annotated[Path | None, typer.Option(help="Write a TorchScript file here.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Write a folder here: a MONAI bundle with a model card.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Write a run's network for other programs, with what it is, how it was trained and what it is worth inside.

    Names of hospitals and folders stay behind; how many there were, what was promised and what was scored goes along.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from experiments.exporting.conduct import export as exported
        from experiments.prediction.trained import load_trained

        say(exported(load_trained(run), onnx, torchscript, bundle, overwrite))
