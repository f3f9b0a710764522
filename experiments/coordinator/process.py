"""What `wardround server up` does: a process of its own, with lines for a journal and an exit status for systemd."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import typer

from client.fleet.notify import notify
from common.errors import LASTING, FileError, LastingError, StudyError
from experiments.coordinator.serving import Serving
from experiments.coordinator.serving import serve as serve_all
from experiments.coordinator.settings import demand_coordinator


def serve(folder: Path) -> None:
    """Until a signal. Exits with 78 where a program says that it will never start as it is set up."""
    _log_to_stderr()
    log = logging.getLogger("wardround.supervisor")

    def begun(served: Serving) -> None:
        log.info("serving %s; the SuperLink is at %s", folder, served.link.address)
        notify("READY=1")

    try:
        demand_coordinator(folder)
    except FileError as error:
        log.error("%s", error)
        raise typer.Exit(LASTING) from None
    try:
        serve_all(folder, begun)
    except (LastingError, StudyError) as error:
        log.error("%s", error)
        raise typer.Exit(LASTING) from None


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logger = logging.getLogger("wardround.supervisor")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
