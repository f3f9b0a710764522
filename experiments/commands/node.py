"""`wardround node ...`: a hospital's own node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(help="A hospital's own node: what runs beside the data.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--folder", help="The hospital's own folder, which holds node.toml.")]


@cli.command()
def run(folder: Folder) -> None:
    """Answer the coordinator's requests until SIGTERM, through every crash of either side."""
    from experiments.node_command import run_in

    raise typer.Exit(run_in(folder))
