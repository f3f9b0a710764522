"""The groups that a real hospital's sums were opened in, over all studies on the same data.

Two studies whose groups differ by a few hospitals are two sums whose difference is of those few. So a study whose
groups tell fewer hospitals apart than a sum needs is refused: old groups stay whole, and whoever comes later forms
groups of their own.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from client.durable import write_durably
from common.cases import SiteId
from common.errors import FileError, HospitalError, WireError
from common.files import is_there
from common.json_files import read_json

FOLDER = "kept-groups"


def keep_group(folder: Path, data: str, group: Collection[SiteId], least: int) -> None:
    """Remember this hospital's group of a study, on the disk when this returns.

    data: which data, in words that other studies on them share. least: fewest hospitals that may be told apart.
    Raises WireError where an earlier group and this one tell fewer apart.
    """
    path = folder / FOLDER / f"{sha256(data.encode()).hexdigest()}.json"
    earlier, own = _read(path), sorted(group)
    if own in earlier:
        return
    for before in earlier:
        _refuse_apart(set(before), set(own), least)
    write_durably(path, json.dumps([*earlier, own]).encode())


def _refuse_apart(before: set[SiteId], now: set[SiteId], least: int) -> None:
    for part in (before - now, now - before, before & now):
        if 0 < len(part) < least:
            raise WireError(
                f"this study's groups and those of an earlier one tell {len(part)} hospitals apart, and {least} must "
                "stay together: keep old groups whole, and let those that join form groups of their own."
            )


def _read(path: Path) -> list[list[SiteId]]:
    if not is_there(path.parent, path.name):
        return []
    try:
        return [[str(site) for site in group] for group in read_json(path.parent, path.name)]
    except (FileError, TypeError) as error:
        raise HospitalError(f"what is kept of groups ({FOLDER}) cannot be read: {error}") from error
