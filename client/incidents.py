"""An exception in a hospital is patient data: it is written down here, and only its number leaves."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from client.atomic_write import rename_durably
from common.errors import FileError, RefusedError
from common.files.access import append

FILE, OLDER = "incidents.log", "incidents.older.log"
LONGEST_LINE = 2000
REFUSALS, OLDER_REFUSALS = "refusals.log", "refusals.older.log"
LARGEST_BYTES = 1 << 24
"""Whoever asks what fails again and again does not fill the disk: beyond it the older half is that before."""
LOG = logging.getLogger("wardround.hospital")

_said_last: dict[Path, str] = {}


def report(error: BaseException, folder: Path | None) -> str:
    """Append the traceback to `incidents.log` in the hospital's own folder; the incident's random number.

    Readable by the hospital's user only. Without a folder, or on a full disk, it goes to the process' own log.
    """
    number = token_hex(4)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"incident {number} at {when}: {_in_short(error)}\n{''.join(traceback.format_exception(error))}\n"
    if folder is None:
        LOG.error("%s", text)
        return number
    try:
        _append(folder, FILE, OLDER, text)
    except (FileError, OSError) as failure:
        LOG.error("%s could not be written (%s): %s", folder / "incidents.log", failure, text)
    return number


def refused(refusal: RefusedError, folder: Path | None) -> None:
    """Say in `refusals.log`, in the hospital's own folder, why it refused; the word alone leaves.

    A coordinator that goes on asking fills no disk: what was said last is not said again.
    """
    line = f"{refusal.reason}: {_in_short(refusal)}"
    if folder is None or _said_last.get(folder) == line:
        return
    _said_last[folder] = line
    when = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        _append(folder, REFUSALS, OLDER_REFUSALS, f"{when} {line}\n")
    except (FileError, OSError) as failure:
        LOG.error("%s could not be written (%s): %s", folder / REFUSALS, failure, line)


def _append(folder: Path, name: str, older: str, text: str) -> None:
    append(folder, name, text)
    if (folder / name).stat().st_size > LARGEST_BYTES:
        rename_durably(folder, name, older)


def _in_short(error: BaseException) -> str:
    """Kind and text in one line, which a person who may read it can be shown."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_LINE]
