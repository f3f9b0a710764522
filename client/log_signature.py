"""How far a hospital's log has come, signed with the hospital's own key: evidence for whoever is given it.

Whoever holds such a statement can tell later whether the log that is shown still holds that line, at that place, and
with it every line before. The hospital's public key must have come another way than with the statement.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client.audit_log import verify
from common.errors import FileError, HospitalError
from common.sums.identity import read_key

WHAT = "head of a Wardround log"
FIELDS = ("what", "count", "last", "time", "public_key")


def signed_head(folder: Path) -> dict[str, Any]:
    """Raises HospitalError where the log is not whole, or the hospital has no key."""
    found = verify(folder)
    if found.fault is not None:
        raise HospitalError(f"a log that is not as it was written is not signed: {found.fault}.")
    try:
        key = read_key(folder)
    except (FileError, ValueError) as error:
        raise HospitalError(f"the hospital's folder holds no key to sign with: {error}") from error
    statement = {
        "what": WHAT,
        "count": found.head.count,
        "last": found.head.last,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "public_key": b64encode(key.public_key().public_bytes_raw()).decode(),
    }
    return {**statement, "signature": b64encode(key.sign(_signed(statement))).decode()}


def fault_of(statement: Mapping[str, Any], folder: Path) -> str | None:
    """Why a log is not the one that a statement is about; None where it is.

    The statement's own key is taken: whoever asks compares it with the one he knows.
    """
    try:
        public = Ed25519PublicKey.from_public_bytes(b64decode(statement["public_key"], validate=True))
        public.verify(b64decode(statement["signature"], validate=True), _signed(statement))
        count, last = int(statement["count"]), str(statement["last"])
    except (InvalidSignature, LookupError, TypeError, ValueError):
        return "the statement is damaged, or not signed by the key that it names"
    if statement.get("what") != WHAT:
        return "the statement is about something else"
    found = verify(folder, last)
    if found.fault is None and count and found.until != count:
        return f"line {count} is not the one that was signed: lines were written anew, or an older copy put back"
    return found.fault


def _signed(statement: Mapping[str, Any]) -> bytes:
    told = {name: statement[name] for name in FIELDS}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
