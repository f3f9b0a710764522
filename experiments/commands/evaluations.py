"""The command that scores a model at hospitals without training it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study, is_file_name, read_study
from experiments.commands._terminal import say, spoken_errors
from experiments.commands.runs import run_asked


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="A run folder, or a file: .safetensors (ours), .onnx (ONNX) or .pt (TorchScript)."),
    ],
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file: whose data, and what scores.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting, as for run: --set aggregation=plain.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="inline, processes, simulation, deployment or nodes; short for --set engine=.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Run folder; runs/<study>-evaluated/<time> if not given.")
    ] = None,
) -> None:
    """Score a model at a study's hospitals by sums: intervals, calibration, decision curves. Nothing is trained.

    All patients are scored, unless the study says `split`, or hospitals of these names trained the model.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.evaluating import evaluation_of
        from server.app import new_default_folder

        if folder is not None and folder.is_file():
            raise StudyError(f"{folder} is a file; a run needs a folder of its own.")
        given = [*(set_ or []), *([f"engine={engine}"] if engine else [])]
        text, name = read_study(study)
        evaluation = evaluation_of(model, text, given, Path(study) if is_file_name(study) else None)
        asked = asked_study(study, evaluation.overrides)
        say([*asked.remarks, *evaluation.remarks])
        run_asked(asked.study, f"{name}-evaluated", folder or new_default_folder(f"{name}-evaluated"), resume=False)
