"""Data sets: what can be fetched, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import console, spoken_errors

cli = typer.Typer(help="Data sets: what can be fetched, and from where.", no_args_is_help=True)


@cli.command("list")
def data_list() -> None:
    """Name the data sets, where they come from and under which licence."""
    with spoken_errors():
        from experiments.datasets import describe

        for line in describe():
            console.print(line, highlight=False, markup=False, soft_wrap=True)


@cli.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A data set's name (see `wardround data list`).")],
    folder: Annotated[Path, typer.Option(help="Where data sets are kept.")] = Path("data"),
) -> None:
    """Download a data set from its official home, checked against a pinned digest, resumable."""
    with spoken_errors():
        from experiments.datasets import fetch_with_progress

        console.print(fetch_with_progress(name, folder, console), highlight=False, markup=False)
