"""Which process conducts a run, for which run of Flower's: a supervisor begins again what ended without a word."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from common.errors import FileError
from common.files.json_files import read_table, write_json

ABOUT = "about.json"
CONDUCTED = "conducted.json"
STOPPED_AT_THE_LINK = "the run was stopped at the SuperLink"
"""Reason of a run that somebody ended at Flower, and not its study: a supervisor goes on with it."""


def say_so(folder: Path, run_id: int) -> None:
    """Write `conducted.json`: of this process. What `about.json` says of an end before it is no longer so."""
    with suppress(FileError):  # absent, or damaged: the run itself says so
        write_json(folder, ABOUT, {**read_table(folder, ABOUT, required=True), "state": "running", "reason": ""})
    write_json(folder, CONDUCTED, {"pid": os.getpid(), "run": str(run_id)})
