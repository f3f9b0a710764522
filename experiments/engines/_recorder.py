"""Every message as it travelled, on the disk, for the audit: numbered files and an index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass
class Recorder:
    """Writes `<folder>/000001.bin` and so on, and one line a message in `index.jsonl`. Nothing is kept in memory."""

    folder: Path
    sites: dict[int, str]
    _count: int = field(default=0)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._count = sum(1 for _ in self.folder.glob("*.bin"))

    def keep(self, node: int, direction: str, message_type: str, data: bytes) -> None:
        """Write one message."""
        self._count += 1
        name = f"{self._count:06d}.bin"
        (self.folder / name).write_bytes(data)
        line = {
            "file": name,
            "time": datetime.now(UTC).isoformat(),
            "site": self.sites[node],
            "node": node,
            "direction": direction,
            "type": message_type,
            "bytes": len(data),
        }
        with (self.folder / "index.jsonl").open("a", encoding="utf-8") as index:
            index.write(json.dumps(line) + "\n")
