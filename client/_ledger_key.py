"""The secret key that authenticates a ledger: it chains its rows, signs its head, and hides its patients' names.

HMAC-SHA-256 (RFC 2104) with one key for each purpose, all from 32 random bytes in a file of the hospital's own.
Without that file nobody can write a row that verifies, or find out whether a patient is in a copied ledger.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.atomic_write import write_durably
from common.errors import FileError, LedgerError
from common.files.access import read

KEY_BYTES, LARGEST_KEY_BYTES = 32, 1 << 10
START = "0" * 64
"""What the first row is chained to."""


@dataclass(frozen=True)
class LedgerKey:
    """secret: 32 bytes. Every result is an authentication code of 64 hexadecimal characters."""

    secret: bytes = field(repr=False)

    def row(self, before: str, columns: Sequence[Any]) -> str:
        """The code of a row that follows the one of code `before`."""
        return self._mac("row", ascii((before, *columns)))

    def head(self, number: int, last: str) -> str:
        """The code of the statement that row `number`, of code `last`, was written."""
        return self._mac("head", f"{number} {last}")

    def marker(self) -> str:
        """What says that a ledger under this key began."""
        return self._mac("marker", "began")

    def patient(self, name: str) -> str:
        """What stands for a patient."""
        return self._mac("patient", name)

    def patient_set(self, cases: Iterable[tuple[Any, Any]]) -> str:
        """The name, which is also the code, of a set of (patient, number of cases)."""
        return self._mac("set", ascii(sorted(cases, key=ascii)))

    def hidden(self, cases: Mapping[str, int]) -> dict[str, int]:
        """Numbers of cases by what stands for the patient."""
        return {self.patient(name): count for name, count in cases.items()}

    def _mac(self, purpose: str, text: str) -> str:
        key = hmac.digest(self.secret, purpose.encode(), sha256)
        return hmac.new(key, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()


def load(path: Path) -> LedgerKey:
    """Raises LedgerError where the key is damaged."""
    try:
        secret = b64decode(read(path.parent, path.name, LARGEST_KEY_BYTES), validate=True)
    except (FileError, ValueError) as error:
        raise LedgerError(f"the ledger's key {path.name} cannot be read: {error}") from error
    if len(secret) != KEY_BYTES:
        raise LedgerError(f"the ledger's key {path.name} must hold {KEY_BYTES} bytes; it holds {len(secret)}.")
    return LedgerKey(secret)


def new() -> LedgerKey:
    """From the operating system's randomness."""
    return LedgerKey(os.urandom(KEY_BYTES))


def save(key: LedgerKey, path: Path) -> None:
    """Readable by the hospital's user only."""
    write_durably(path, b64encode(key.secret))
