"""Which process conducts a run, for which run of Flower's: a supervisor begins again what ended without a word."""

from __future__ import annotations

import os
from pathlib import Path

from common.files.json_files import write_json

CONDUCTED = "conducted.json"


def say_so(folder: Path, run_id: int) -> None:
    """Write `conducted.json`: of this process."""
    write_json(folder, CONDUCTED, {"pid": os.getpid(), "run": str(run_id)})
