"""Commands that look at a study without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study, read_study
from experiments.commands._terminal import console, spoken_errors


def check(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
) -> None:
    """Check a study without running it: settings, sums, trust, and a case and its network where the data are here."""
    with spoken_errors(), trusting(ANYTHING):
        from experiments.first_look import first_look
        from experiments.study_view import study_facts

        asked = asked_study(study, set_)
        console.print(asked.study.text, markup=False, highlight=False)
        for fact in (*asked.remarks, *study_facts(asked.study), *first_look(asked.study)):
            console.print(f"# {fact}", markup=False, highlight=False, soft_wrap=True)


def approve(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    folder: Annotated[Path, typer.Argument(help="The hospital's own folder, as in its node's configuration.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
    rewind_to: Annotated[
        int | None, typer.Option(help="Let its runs go on after this round once more, from a restored backup.")
    ] = None,
) -> None:
    """In a hospital: agree to a study, every setting of it. A deployed hospital serves no other.

    This binds the hospital's own program. Flower as it stands runs whatever program the coordinator sends; see the
    README's section on what Wardround does not do.
    """
    with spoken_errors():
        from experiments.approval_command import approve_study

        approve_study(read_study(study)[0], set_ or [], folder, console, rewind_to)


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
        from experiments.withdraw_command import carry_out

        text = read_study(study)[0] if study else None
        carry_out(person, folder, console, text, data_folder, anyway, again_consented, list_all)
