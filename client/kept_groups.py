"""The group that a real hospital's sums are opened in, one over all studies on the same data.

Two studies whose groups differ by a few hospitals are two sums whose difference is of those few. Nor is it enough
that any two groups differ by many: three groups of ten hospitals can, and their sums together still tell one, and a
hospital that joins two old groups is told by three sums of which no other hospital knows more than two. So a group
stays as it is: groups that share a hospital are the same, all that are ever opened are disjoint, and every
combination of their sums is constant on groups. Whoever comes later forms groups of their own.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from client.atomic_write import write_durably
from common.data.cases import SiteId
from common.errors import FileError, HospitalError, WireError
from common.files.access import if_there
from common.files.json_files import read_json

FOLDER = "kept-groups"


def keep_group(folder: Path, data: str, group: Collection[SiteId]) -> None:
    """Remember this hospital's group, on the disk when this returns.

    data: which data, in words that other studies on them share. Raises WireError where an earlier study had this
    hospital in another group.
    """
    path = folder / FOLDER / f"{sha256(data.encode()).hexdigest()}.json"
    earlier, own = _read(path), sorted(group)
    if own in earlier:
        return
    for before in earlier:
        apart = len(set(before) ^ set(own))
        raise WireError(
            f"this study's group of this hospital and that of an earlier one differ by {apart} hospitals: keep old "
            "groups whole, and let those that join form groups of their own (group, in federation.roster)."
        )
    write_durably(path, json.dumps([own]).encode())


def _read(path: Path) -> list[list[SiteId]]:
    try:
        groups = if_there(read_json, path.parent, path.name)
        return [] if groups is None else [[str(site) for site in group] for group in groups]
    except (FileError, TypeError) as error:
        raise HospitalError(f"what is kept of groups ({FOLDER}) cannot be read: {error}") from error
