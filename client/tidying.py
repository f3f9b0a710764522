"""What a hospital's folder no longer needs is removed when its node starts, and what is a promise never is.

Removed are halves of files that a crash left, and what a strategy kept between the rounds of runs that nobody asked
for in half a year, but for the runs that were used last. Such a run cannot go on here: it would start from nothing
where it should start from its own state, and so `client.state_store` refuses it. Who was in which part of its data
stays, and so do ledger, opened sums, groups, answered rounds, approvals, withdrawals, models and the log: they are
small, and to forget one would undo what was promised.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from time import time

from client.state_store import RECORD, TIDIED
from common.files.access import names, remove, write
from common.files.tensor_files import SUFFIX

RUNS_KEPT = 32
"""Runs whose state stays however old it is."""
OLD_S = 183 * 24 * 3600.0
LEFTOVER_S = 24 * 3600.0
"""Age of a half-written file that no process can still be writing."""
_HALF = re.compile(r"\..+\.[0-9a-f]{16}")


def tidy(folder: Path, now: float | None = None) -> list[str]:
    """What was removed, below `folder`. now: seconds since the epoch."""
    moment = time() if now is None else now
    return [*_halves(folder, moment), *_old_states(folder, moment)]


def _halves(folder: Path, now: float) -> Iterator[str]:
    """`common.files.access` writes beside, under a name of its own, and then renames."""
    for place, _, files in os.walk(folder):
        for name in files:
            path = Path(place) / name
            if _HALF.fullmatch(name) and now - path.lstat().st_mtime > LEFTOVER_S:
                path.unlink()
                yield str(path.relative_to(folder))


def _old_states(folder: Path, now: float) -> Iterator[str]:
    used = {run: _used(folder, run) for run in names(folder, RECORD) if _states(folder, run)}
    for run in sorted(used, key=lambda one: used[one], reverse=True)[RUNS_KEPT:]:
        if now - used[run] > OLD_S:
            write(folder, f"{RECORD}/{run}/{TIDIED}", "", durable=True)  # before: half a state is none
            for name in _states(folder, run):
                remove(folder, f"{RECORD}/{run}/{name}")
                yield f"{RECORD}/{run}/{name}"


def _states(folder: Path, run: str) -> list[str]:
    place = f"{RECORD}/{run}"
    return [name for name in names(folder, place) if name.endswith(SUFFIX)] if (folder / place).is_dir() else []


def _used(folder: Path, run: str) -> float:
    place = folder / RECORD / run
    return max(path.lstat().st_mtime for path in place.iterdir())
