"""`wardround server front` and `wardround server nginx`."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import typer

from common.errors import LASTING, EngineError, FileError, StudyError
from common.files.json_files import write_json
from experiments.coordinator.settings import FRONT_LISTENING
from server.front.settings import FrontSettings, read_front


def run_front(folder: Path, port: int | None, link: str) -> None:
    """Serve until a signal ends it. Raises EngineError where its address is taken."""
    from server.front.serving import serve

    _log_to_stderr()
    try:
        settings = _changed(read_front(folder), port, link)
        serve(folder, settings, lambda bound: _tell(folder, settings, bound))
    except (FileError, StudyError) as error:
        logging.getLogger("wardround.front").error(str(error))
        raise typer.Exit(LASTING) from None


def nginx_text(folder: Path) -> str:
    """The configuration."""
    from server.front.nginx import configuration

    return configuration(folder, read_front(folder))


def _changed(settings: FrontSettings, port: int | None, link: str) -> FrontSettings:
    settings = settings if port is None else replace(settings, port=port)
    return replace(settings, link=link) if link else settings


def _tell(folder: Path, settings: FrontSettings, port: int) -> None:
    """Raises EngineError where it cannot be written, as on a full disk: that passes, unlike files that are absent."""
    try:
        write_json(folder, FRONT_LISTENING, {"host": settings.listen, "port": port, "pid": os.getpid()})
    except FileError as error:
        raise EngineError(str(error)) from error


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in ("wardround.front", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "wardround.front" else logging.WARNING)
