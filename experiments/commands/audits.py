"""The command that attacks a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.study.plugins import resolved, trusting
from experiments.commands._device import Device, use
from experiments.commands._study_text import TrustCode, asked_study, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors


def audit(
    run: Annotated[str, typer.Argument(help="A finished run's folder; with --matrix a study.")],
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Run the study under every protection, attack each, and compare.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="For all attacks on a run; else as the study says.")] = None,
    pictures: Annotated[bool, typer.Option(help="Show patients' data beside what came back of it.")] = True,
    poisoning: Annotated[
        bool, typer.Option("--poisoning", help="Also run small federations with a hospital that poisons.")
    ] = False,
    attack: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Try this attack too, and run its code: a name, module or file. Repeatable."),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(
            "--question", help="Ask this question too, and run its code: a name, module or file. Repeatable."
        ),
    ] = None,
    adversary: Annotated[
        list[str] | None,
        typer.Option("--adversary", help="Play this one too, and run its code: a name, module or file. Repeatable."),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="With --matrix: override a setting.")] = None,
    folder: Annotated[Path | None, typer.Option(help="With --matrix: where the runs go.")] = None,
    trust_code: TrustCode = False,
    device: Device = None,
) -> None:
    """Attack what crossed the wire in a simulated run, and write the report a privacy officer can sign."""
    with spoken_errors(), trusting(code_of_folder(matrix or trust_code)):
        from experiments.audit import command as audit_command
        from experiments.audit.conduct import Effort
        from experiments.places import with_modules_of
        from server.app import new_default_folder

        use(device)
        named = [tuple(resolved(one, Path.cwd()) for one in names or ()) for names in (attack, question, adversary)]
        effort = Effort(seconds, pictures, poisoning, *named)
        if trust_code:
            with_modules_of(Path(run))
        if matrix:
            asked = asked_study(run, set_)
            place = folder or new_default_folder(f"{asked.name}-matrix")
            say(asked.remarks)
            path = audit_command.audit_protections(asked.study, asked.name, place, effort, console)
        else:
            path = audit_command.audit(Path(run), effort, console)
        say([f"Report: {path.resolve()}"])
