"""What was agreed to, kept beside the list of approved studies: `approvals/<digest>.json`.

The list says which studies are served. A record says what that meant: the study, the program and the plug-ins that
were to run it, the hospitals and their keys, who agreed, and when. It outlives a revocation, so that the next
approval can say what changed.
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.atomic_write import write_durably
from common.errors import FileError, HospitalError
from common.files.access import if_there, names, private_folder
from common.files.json_files import read_json
from common.study.program import this_program

FOLDER, LISTED_BY_PROGRAM = "approvals", "by a program"
LARGEST_RECORD_BYTES = 1 << 24
MOST_RECORDS = 4096
LEAST_DIGITS = 8
_FILE = re.compile(r"([0-9a-f]{64})\.json")
_WORDS = ("study", "title", "program", "version", "when", "who", "how", "revoked")
_TABLES = ("packages", "plugins", "keys")


@dataclass(frozen=True)
class Approval:
    """study: its JSON as it travels. program: digest of what was to run it, with its version and packages.

    plugins: digests by module. keys: of the hospitals of its roster, by name. when, who, how: of the agreement.
    revoked: when, by whom; "" while it stands.
    """

    study: str
    title: str = ""
    program: str = ""
    version: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    when: str = ""
    who: str = ""
    how: str = ""
    revoked: str = ""

    @property
    def digest(self) -> str:
        """What stands for the study in the list."""
        return sha256(self.study.encode()).hexdigest()

    @property
    def table(self) -> dict[str, Any]:
        """The study, {} where it is none."""
        try:
            found = json.loads(self.study)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def approval_now(study_json: str, title: str, plugins: Mapping[str, str], how: str = LISTED_BY_PROGRAM) -> Approval:
    """Of a study, by whoever runs this, with the program that this is."""
    program = this_program()
    return Approval(
        study_json,
        title,
        program.digest,
        program.version,
        dict(program.packages),
        dict(plugins),
        keys_of(study_json),
        now(),
        user(),
        how,
    )


def keys_of(study_json: str) -> dict[str, str]:
    """Key by hospital of a study's roster, whatever came in its place."""
    try:
        roster = json.loads(study_json)["federation"]["roster"]
        return {str(entry["name"]): str(entry["key"]) for entry in roster}
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}


def now() -> str:
    """In UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def user() -> str:
    """Whose process this is, as the system says."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def keep_approval(approval: Approval, folder: Path) -> None:
    """On the disk when this returns. Raises FileError."""
    private_folder(folder, FOLDER)
    text = json.dumps(asdict(approval), indent=1, ensure_ascii=False, sort_keys=True)
    write_durably(folder / FOLDER / f"{approval.digest}.json", f"{text}\n".encode())


def read_approval(folder: Path, digest: str) -> Approval | None:
    """None where there is none, as of a study that was listed by hand. Raises HospitalError where it is damaged."""
    name = f"{FOLDER}/{digest}.json"
    try:
        found = if_there(read_json, folder, name, LARGEST_RECORD_BYTES)
    except FileError as error:
        raise HospitalError(f"what was approved cannot be read: {error}") from error
    if found is None:
        return None
    if not _is_record(found) or sha256(found["study"].encode()).hexdigest() != digest:
        raise HospitalError(f"{folder / name} is no record of an approval of this study: approve it once more.")
    return Approval(**found)


def approvals(folder: Path) -> Iterator[Approval]:
    """All records that can be read, the oldest first."""
    found = [match[1] for name in names(folder, FOLDER) if (match := _FILE.fullmatch(name))]
    kept = [read_approval(folder, digest) for digest in found[:MOST_RECORDS]]
    yield from sorted((one for one in kept if one is not None), key=lambda one: one.when)


def last_of(folder: Path, title: str) -> Approval | None:
    """What was approved last under this title, be it revoked since."""
    return next((one for one in reversed(list(approvals(folder))) if one.title == title), None)


def _is_record(found: Any) -> bool:
    if not isinstance(found, dict) or set(found) != {*_WORDS, *_TABLES}:
        return False
    tables = [found[name] for name in _TABLES]
    return all(isinstance(found[name], str) for name in _WORDS) and all(
        isinstance(one, dict) and all(isinstance(word, str) for word in one.values()) for one in tables
    )
