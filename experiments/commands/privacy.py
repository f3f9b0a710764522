"""Privacy: what a study will cost, and what studies have cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, say, spoken_errors

cli = typer.Typer(help="Privacy: what a study will cost, and what studies have cost.", no_args_is_help=True)


@cli.command("plan")
def privacy_plan(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set privacy.epsilon=1. Repeatable.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the plan here too.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write epsilon against rounds here, as SVG.")] = None,
) -> None:
    """Say what a study's privacy will cost in every hospital, without training: epsilon, or the noise for it."""
    with spoken_errors(), trusting(ANYTHING):
        from experiments.planning.command import show_plan

        files.demand_writable(json_file, plot)
        asked = asked_study(study, set_)
        say(asked.remarks)
        show_plan(asked.study, console, json_file, plot)


@cli.command("ledger")
def privacy_ledger(
    folder: Annotated[Path, typer.Argument(help="A hospital's own folder, or a run folder for all its hospitals.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Say what every study has spent on a hospital's patients; exits 1 where a ledger is not as it was written.

    Not noticed: an older copy of the whole ledger put back, all of its files gone, or entries of one who has its key.
    """
    with spoken_errors():
        from experiments.hospital.ledger import show_ledgers

        files.demand_writable(json_file)
        if not show_ledgers(folder, console, json_file):
            raise typer.Exit(1)
