"""What follows the rounds in a simulation: whatever fails there is a problem of the run, and not its end."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.data.cases import SiteId
from common.errors import WardroundError
from common.files.access import append
from common.files.json_files import read_table
from server.app import progress
from server.problems import Problem, Stage, keep
from server.progress import ProblemFound
from server.reporting.folder import read_run
from server.reporting.losses import Losses
from server.reporting.values import count

LOG = "after-run.log"


def participants(folder: Path) -> tuple[SiteId, ...]:
    """Hospitals that took part in the run in `folder`: pictures and scores are of these alone."""
    return Losses(read_run(folder)).took_part


def note(folder: Path, stage: Stage, reason: str, site: SiteId = "") -> None:
    """Keep a problem of a finished run, and tell whoever watches."""
    done = count(read_table(folder, "about.json").get("rounds_done"))
    problem = Problem(stage, reason, site, None, done)
    keep(folder, problem)
    progress.publish(ProblemFound(problem))


@contextmanager
def kept_as_problem(folder: Path, stage: Stage, site: SiteId = "") -> Iterator[None]:
    """An error in the block becomes a problem of the run. It is shown: all its hospitals are simulated here."""
    try:
        yield
    except WardroundError as error:
        note(folder, stage, str(error), site)
    except Exception as error:  # noqa: BLE001 - the run itself is whole, whatever is wrong with its trimmings
        append(folder, LOG, f"{stage} {site}\n{traceback.format_exc()}\n")
        note(folder, stage, f"{type(error).__name__}: {error} (its traceback is in {LOG})", site)
