"""The command that says why it does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import console, spoken_errors


def doctor(
    folder: Annotated[Path, typer.Option(help="A hospital's own folder, or a coordinator's.")],
    json_: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Say what keeps a hospital or a coordinator from taking part, each with its remedy.

    Certificates, keys and who may read them, the member list, approvals, versions, the disk, and the way to the
    coordinator step by step: DNS, TCP or the proxy's tunnel, TLS, HTTP, both clocks. Sends nothing of a patient.

    Exits with 0 where nothing fails, 1 where something fails that may pass, 78 where it will not by itself.
    """
    with spoken_errors():
        from experiments.doctor.examination import examine

        examine(folder, json_, console)
