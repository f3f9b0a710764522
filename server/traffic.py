"""Bytes that crossed the wire, counted by leg, direction, content and hospital."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from common.data.names import SiteId

TO_HOSPITAL, TO_SERVER = "to hospital", "to server"


@dataclass
class Traffic:
    """Counts of messages and of their bytes as serialised."""

    messages: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bytes_by_kind: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bytes_by_site: Counter[tuple[SiteId, str]] = field(default_factory=Counter)

    def count(self, leg: str, direction: str, content: str, site: SiteId, size: int) -> None:
        """Add one message."""
        self.messages[leg, direction, content] += 1
        self.bytes_by_kind[leg, direction, content] += size
        self.bytes_by_site[site, direction] += size

    def total(self, direction: str) -> int:
        """Bytes in one direction so far."""
        return sum(size for (_, way, _), size in self.bytes_by_kind.items() if way == direction)

    def table(self) -> dict[str, Any]:
        """As written to `traffic.json`."""
        kinds = [
            {
                "leg": leg,
                "direction": way,
                "content": content,
                "messages": self.messages[leg, way, content],
                "bytes": n,
            }
            for (leg, way, content), n in sorted(self.bytes_by_kind.items())
        ]
        sites = sorted({site for site, _ in self.bytes_by_site})
        by_site = {
            site: {
                "sent": self.bytes_by_site[site, TO_HOSPITAL],
                "received": self.bytes_by_site[site, TO_SERVER],
            }
            for site in sites
        }
        return {"kinds": kinds, "sites": by_site}
