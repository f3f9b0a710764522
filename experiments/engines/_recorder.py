"""Every message as it travelled, on the disk, for the audit: numbered files and an index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from common.files.access import append, names, write

INDEX, SUFFIX = "index.jsonl", ".bin"


@dataclass
class Recorder:
    """Writes `<folder>/000001.bin` and so on, and one line a message in `index.jsonl`. Nothing is kept in memory."""

    folder: Path
    sites: dict[int, str]
    _count: int = field(default=0)

    def __post_init__(self) -> None:
        kept = [name.removesuffix(SUFFIX) for name in names(self.folder.parent, self.folder.name)]
        self._count = max((int(number) for number in kept if number.isdecimal()), default=0)

    def keep(self, node: int, direction: str, message_type: str, data: bytes) -> None:
        """Write one message."""
        self._count += 1
        name = f"{self._count:06d}{SUFFIX}"
        write(self.folder.parent, f"{self.folder.name}/{name}", data)
        line = {
            "file": name,
            "time": datetime.now(UTC).isoformat(),
            "site": self.sites[node],
            "node": node,
            "direction": direction,
            "type": message_type,
            "bytes": len(data),
        }
        append(self.folder.parent, f"{self.folder.name}/{INDEX}", json.dumps(line) + "\n")
