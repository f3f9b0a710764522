"""A run folder as one page for people, `report.html`, and its figures for machines, `summary.json`."""

from __future__ import annotations

import json
from pathlib import Path

from common.files.access import write
from server.reporting.folder import read_run
from server.reporting.page import page_of
from server.reporting.summary import summary_of


def write_report(run_folder: Path) -> Path:
    """Write both files into the run folder and return the path of `report.html`.

    Any of the run's files may be missing or broken; the page then says so and shows the rest. A page that was
    there before is replaced only by a whole one. Raises WardroundError where `run_folder` is no run folder.
    """
    run = read_run(run_folder)
    write(
        run_folder, "summary.json", json.dumps(summary_of(run), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    )
    return write(run_folder, "report.html", page_of(run))
