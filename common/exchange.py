"""One leg of a conversation with hospitals, Flower hidden, and the role of an aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.cases import SiteId
from common.update import Update

Reveals = Literal["each", "sum"]
Number = int | float | list[int] | list[float]
Word = str | list[str]


@dataclass(frozen=True)
class Payload:
    """What one message carries: at most one flat float32 array, and small named numbers and words."""

    array: NDArray[np.float32] | None = None
    numbers: Mapping[str, Number] = field(default_factory=dict)
    words: Mapping[str, Word] = field(default_factory=dict)


class Exchange(Protocol):
    """The server's way to talk to hospitals. A leg always ends: waits are bounded."""

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """Send one leg and return the replies that came in time and could be decoded, sorted by site.

        Hospitals that failed are dropped with a reason; they are missing from the answer.
        """
        ...

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Record that what `site` sent is not used, and why."""
        ...


@dataclass(frozen=True)
class Expected:
    """What a valid update looks like: `vectors` of `length` floats, weight within (0, largest_weight[site]]."""

    length: int
    vectors: int
    largest_weight: Mapping[SiteId, float]


@dataclass(frozen=True)
class Collected:
    """The result of a round's exchange.

    total: the sum over `sites`. each: single updates, only where the aggregation reveals them. replies: what
    else came back in the same messages, evaluation above all.
    """

    total: Update | None
    sites: tuple[SiteId, ...]
    each: Mapping[SiteId, Update] | None
    replies: Mapping[SiteId, Payload]


class Aggregation(Protocol):
    """How a sum is made; entries live in `common/aggregation/`, both halves of a protocol in one file."""

    reveals: ClassVar[Reveals]
    """What the server learns: every single update, or only their sum."""

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Server half, any number of legs. Hospitals in `requests` but not in `contributing` only evaluate."""
        ...

    def protect(self, update: Update) -> Payload:
        """Hospital half of the first leg: the update as it may leave."""
        ...
