"""The option that says on which device a command's work is done."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="auto (a GPU where there is one), cpu, cuda, cuda:1, ... or mps; if not given, what WARDROUND_DEVICE "
        "says, else auto. Never part of a study: every hospital has its own.",
    ),
]


def use(device: Device) -> None:
    """Let the work be done there. Raises DeviceError, which says what there is, where that cannot be."""
    if device is not None:
        from common.learning.device import ask

        ask(device)
