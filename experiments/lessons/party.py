"""A party of an example, and everything that it saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Party:
    """saw: what it knew, was sent or worked out, in order; (what, value) each."""

    name: str
    saw: list[tuple[str, str]] = field(default_factory=list)

    def sees(self, what: str, value: object) -> None:
        """Write it down."""
        self.saw.append((what, str(value)))


def told(parties: Iterable[Party]) -> Iterator[str]:
    """Lines to print."""
    for party in parties:
        yield f"{party.name} saw"
        for what, value in party.saw:
            yield f"  {what}: {value}"
