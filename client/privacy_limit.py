"""The hospital's own limit of privacy spending: a file that its administrator writes, and no study can change."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from common.errors import FileError, LedgerError
from common.files.access import if_there, read_text
from common.privacy.accounting import check_delta
from common.study.checks import positive
from common.study.options import build

LIMIT_FILE = "privacy-limit.toml"
LARGEST_LIMIT_BYTES = 1 << 16


@dataclass(frozen=True)
class Limit:
    """The most that all studies together may cost any one patient: epsilon, at delta."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        positive(LIMIT_FILE, epsilon=self.epsilon)
        check_delta(self.delta)


def read_limit(folder: Path) -> Limit | None:
    """None without a file: everything is recorded and nothing stopped.

    Raises StudyError for a key or value that cannot be, LedgerError for a file that cannot be read.
    """
    try:
        text = if_there(read_text, folder, LIMIT_FILE, LARGEST_LIMIT_BYTES)
        if text is None:
            return None
        table = tomllib.loads(text)
    except (FileError, ValueError, RecursionError) as error:
        raise LedgerError(f"{LIMIT_FILE} in the hospital's folder cannot be read: {error}") from error
    return build(Limit, table, LIMIT_FILE)
