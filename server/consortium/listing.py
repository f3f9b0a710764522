"""`wardround consortium list` and `roster`: who the members are, and what a study says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from common.consortium.expiry import of_coordinator, warnings
from common.consortium.fingerprints import COORDINATOR, digests_of, groups_of
from common.data.names import SiteId
from common.errors import SourceError, WireError
from common.study.federation import RosterEntry
from server.consortium.issuing import certificate_of
from server.consortium.place import Consortium, read_consortium


@dataclass(frozen=True)
class Row:
    """One member, or the coordinator. ends: of its certificate; None where it has none here."""

    name: SiteId
    groups: str
    ends: datetime | None


def rows(folder: Path) -> tuple[Consortium, list[Row]]:
    """The members sorted by name, and the coordinator last."""
    consortium = read_consortium(folder)
    digests = digests_of(consortium.listed)
    found = [
        Row(name, groups_of(digests[name]), _end(folder, consortium, name)) for name in sorted(consortium.histories)
    ]
    return consortium, [*found, Row(COORDINATOR, groups_of(digests[COORDINATOR]), None)]


def expiry_warnings(folder: Path, at: datetime) -> list[str]:
    """Of the coordinator's certificates, its members' and its revocation list."""
    try:
        return warnings(of_coordinator(folder), at)
    except WireError as error:
        raise SourceError(f"a certificate in {folder} cannot be read: {error}") from error


def roster_text(folder: Path) -> str:
    """`[federation] roster` for a study's file."""
    members = read_consortium(folder).listed.members
    entries = [RosterEntry(name, keys.roster_key) for name, keys in sorted(members.items())]
    lines = [
        f"  {{ name = {json.dumps(one.name, ensure_ascii=False)}, key = {json.dumps(one.key)} }}," for one in entries
    ]
    return "\n".join(["[federation]", "roster = [", *lines, "]"]) + "\n"


def _end(folder: Path, consortium: Consortium, name: SiteId) -> datetime | None:
    certificate = certificate_of(folder, consortium, name)
    return None if certificate is None else certificate.not_valid_after_utc
