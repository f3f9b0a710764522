"""What of a hospital's data could not be used, and why, in files of its own folder. None of it is ever sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from common.data.cases import Cases
from common.errors import FileError
from common.files.access import is_there, write

QUARANTINED, REMOVED = "quarantined.txt", "removed.txt"
LOG = logging.getLogger("wardround.hospital")


def keep_left_out(folder: Path | None, cases: Iterable[Cases]) -> None:
    """`quarantined.txt`: name and reason of every case that could not be used, a line each, with a tab between.

    `removed.txt`: of each class of the truth, how much preprocessing cut away, where cases say it in a column
    `removed`, (N, classes) whole numbers. Both are for the hospital's user alone, and replaced by every start; a file
    that would be empty is written only over an older one. Without a folder they go to the process' own log.
    """
    parts = tuple(cases)
    quarantined = dict.fromkeys(one for part in parts for one in part.quarantined)
    _keep(folder, QUARANTINED, [f"{_flat(one.name)}\t{_flat(one.reason)}" for one in quarantined])
    _keep(folder, REMOVED, _removed(parts))


def _removed(parts: Sequence[Cases]) -> list[str]:
    tables = [part.array("removed") for part in parts if "removed" in part.columns]
    if not tables:
        return []
    lost = zip(parts[0].classes, np.concatenate(tables).T, strict=True)
    return [
        f"{_flat(name)}\t{int(of_class.sum())} voxels of {np.count_nonzero(of_class)} cases"
        for name, of_class in lost
        if of_class.any()
    ]


def _keep(folder: Path | None, name: str, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if folder is None:
        if lines:
            LOG.warning("%s: %s", name, text)
        return
    try:
        if lines or is_there(folder, name):
            write(folder, name, text)
    except FileError as failure:
        LOG.error("%s could not be written (%s): %s", folder / name, failure, text)


def _flat(text: str) -> str:
    return " ".join(text.split())
