"""The command of a hospital whose persons withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._study_text import read_study
from experiments.commands._terminal import console, spoken_errors


def withdraw(
    folder: Annotated[Path, typer.Option(help="The hospital's own folder, as in its node's configuration.")],
    person: Annotated[str, typer.Argument(help="The person's name, as the data write it.")] = "",
    study: Annotated[str, typer.Option(help="A study, to compare the name with its data.")] = "",
    data_folder: Annotated[Path | None, typer.Option(help="Where these data are, if not where it says.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also a name that nobody here has.")] = False,
    again_consented: Annotated[
        bool, typer.Option("--again-consented", help="The person has given a new consent: strike them off.")
    ] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Say who withdrew, and when.")] = False,
) -> None:
    """In a hospital: take a person out of all studies, from the next round on. What models have learned stays."""
    with spoken_errors():
        from experiments.hospital.withdrawal import carry_out

        text = read_study(study)[0] if study else None
        carry_out(person, folder, console, text, data_folder, anyway, again_consented, list_all)
