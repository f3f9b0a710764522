"""Studies that asked and that nobody here has agreed to, kept so that people can look at them; and those declined.

`waiting/<digest>.json` holds a study as it came: text that was weighed, counted and seen to be a table, and never
built, so that nothing that it names is looked up, let alone imported. `declined/<digest>.json` holds a person's no.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.approvals import now, user
from client.atomic_write import write_durably
from common.errors import FileError
from common.files.access import if_there, is_there, names, private_folder, remove
from common.files.json_files import read_json

WAITING, DECLINED = "waiting", "declined"
LARGEST_STUDY_BYTES = 1 << 18
MOST_WAITING = 32
"""A coordinator that sends ever new studies fills no disk, and pushes none out that came before."""
LONGEST_REASON = 2000
_FILE = re.compile(r"([0-9a-f]{64})\.json")


@dataclass(frozen=True)
class Asked:
    """A study that waits. when: it came first."""

    study: str
    when: str

    @property
    def digest(self) -> str:
        """As in the list of approved studies."""
        return sha256(self.study.encode()).hexdigest()

    @property
    def title(self) -> str:
        """As it calls itself; nothing else of it is looked at."""
        return str(json.loads(self.study).get("title", ""))


@dataclass(frozen=True)
class Declined:
    """A person's no: why, for this hospital alone, when and by whom."""

    reason: str
    when: str
    who: str


def keep_waiting(study: str, folder: Path) -> bool:
    """Keep a study that asked, unless it is no table, too long, or too many wait already; whether it is kept."""
    digest = sha256(study.encode()).hexdigest()
    if is_there(folder, f"{WAITING}/{digest}.json"):
        return True
    if len(study.encode()) > LARGEST_STUDY_BYTES or not _is_table(study):
        return False
    if sum(bool(_FILE.fullmatch(name)) for name in names(folder, WAITING)) >= MOST_WAITING:
        return False
    private_folder(folder, WAITING)
    kept = {"study": study, "when": now()}
    write_durably(folder / WAITING / f"{digest}.json", json.dumps(kept).encode())
    return True


def waiting(folder: Path) -> Sequence[Asked]:
    """All that can be read, those that came first ahead."""
    found = [match[1] for name in names(folder, WAITING) if (match := _FILE.fullmatch(name))]
    kept = [one for one in (_asked(folder, digest) for digest in found) if one is not None]
    return sorted(kept, key=lambda one: one.when)


def forget_waiting(digest: str, folder: Path) -> None:
    """It was approved or declined. Raises FileError."""
    remove(folder, f"{WAITING}/{digest}.json")


def decline(digest: str, reason: str, folder: Path) -> None:
    """Write a no down; the reason stays in this folder. Raises FileError."""
    private_folder(folder, DECLINED)
    told = {"reason": reason[:LONGEST_REASON], "when": now(), "who": user()}
    write_durably(folder / DECLINED / f"{digest}.json", json.dumps(told, ensure_ascii=False).encode())


def take_back_decline(digest: str, folder: Path) -> None:
    """The study was approved after all. Raises FileError."""
    remove(folder, f"{DECLINED}/{digest}.json")


def declined(digest: str, folder: Path) -> Declined | None:
    """The no that was given to a study, if one was: a damaged one, or a link in its place, is one without words."""
    try:
        found = if_there(read_json, folder, f"{DECLINED}/{digest}.json", LARGEST_STUDY_BYTES)
    except FileError:
        return Declined("it cannot be read", "", "")
    if found is None:
        return None
    told = found if isinstance(found, dict) else {}
    return Declined(*(str(told.get(key, "")) for key in ("reason", "when", "who")))


def _asked(folder: Path, digest: str) -> Asked | None:
    try:
        found: Any = if_there(read_json, folder, f"{WAITING}/{digest}.json", 8 * LARGEST_STUDY_BYTES)
    except FileError:
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("study", "when")):
        return None
    asked = Asked(found["study"], found["when"])
    return asked if asked.digest == digest and _is_table(asked.study) else None


def _is_table(study: str) -> bool:
    try:
        return isinstance(json.loads(study), dict)
    except (ValueError, RecursionError):
        return False
