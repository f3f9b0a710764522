"""The command that hands a finished run to a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import say, spoken_errors


def track(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's event files.")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Tell MLflow, where MLFLOW_TRACKING_URI says.")] = False,
) -> None:
    """Hand a finished run to TensorBoard or MLflow. For a run that is told as it happens: federation.track."""
    with spoken_errors():
        if tensorboard is None and not mlflow:
            raise StudyError("track needs --tensorboard FOLDER or --mlflow.")

        from experiments.tracking.finished import tell
        from experiments.tracking.mlflow import MLflow
        from experiments.tracking.tensorboard import TensorBoard

        if tensorboard is not None:
            tell(run, TensorBoard(tensorboard))
            say([f"tensorboard --logdir {tensorboard}"])
        if mlflow:
            tell(run, MLflow())
            say([f"{run.name} is in MLflow."])
