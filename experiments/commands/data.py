"""Data: what can be fetched and from where, and what a folder of one's own holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, spoken_errors

cli = typer.Typer(help="Data: what can be fetched, and what a folder of your own holds.", no_args_is_help=True)


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


@cli.command("check")
def data_check(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    folder: Annotated[Path | None, typer.Option(help="In a hospital: its own folder of data, read whole.")] = None,
    site: Annotated[str | None, typer.Option(help="The one hospital to look at; all if not given.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page here, with patients' names: it stays there.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure and finding here.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
) -> None:
    """Read a study's data without training: what each hospital holds, and what is wrong with it.

    On a laptop all hospitals of the study; in a hospital, with --folder, its own. Exits with 1 where a run would stop
    or be wrong.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.data_check.command import check_data

        files.demand_writable(html, json_file)
        asked = asked_study(study, set_)
        if not check_data(asked.study, asked.name, console, folder, site, html, json_file):
            raise typer.Exit(1)
