"""One leg of a conversation with hospitals, Flower hidden: what a message carries, and who may be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.sums.cohort import Cohort
from common.sums.update import Update
from common.sums.wide import WideForm

Reveals = Literal["each", "sum"]
Number = int | float | list[int] | list[float]
Word = str | list[str]


@dataclass(frozen=True)
class Payload:
    """What one message carries: a flat float32 array, small named numbers and words, and opaque bytes.

    data: (n,) uint8, in the form a protocol says: keys, shares, masked words, ciphertexts.
    """

    array: NDArray[np.float32] | None = None
    numbers: Mapping[str, Number] = field(default_factory=dict)
    words: Mapping[str, Word] = field(default_factory=dict)
    data: NDArray[np.uint8] | None = None


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


def as_they_come(
    exchange: Exchange, leg: str, requests: Mapping[SiteId, Payload]
) -> Iterator[tuple[SiteId, Payload | None]]:
    """One leg's replies, each hospital once; None for one that was dropped, with its reason.

    An exchange that has a method of this name hands each reply over as it comes and keeps none, so that whoever adds
    them up holds a sum and not all of them; from another they come all at once, sorted by site.
    """
    own = getattr(exchange, "as_they_come", None)
    if own is not None:
        yield from own(leg, requests)
        return
    replies = dict(exchange.ask(leg, requests))
    for site in sorted(requests):
        yield site, replies.pop(site, None)


@dataclass(frozen=True)
class Expected:
    """What a valid update looks like: `vectors` of `length` floats, weight within (0, largest_weight[site]].

    statistics: names of the means that may come with it, sorted. cohort: the round's hospitals, and whose sums may be
    opened. step: where all values are whole multiples of it already, and no rounding may change them. range_factor:
    by how much values may be larger than the study's largest_value; for sums of whole numbers alone. wide: where the
    sum is of wide whole numbers, and of no update. keeps_each: whether single updates are asked for, where they are
    revealed; where they are not, each may be let go once it is added up.
    """

    length: int
    vectors: int
    largest_weight: Mapping[SiteId, float]
    statistics: tuple[str, ...] = ()
    cohort: Cohort = field(default_factory=lambda: Cohort(()))
    step: float | None = None
    range_factor: int = 1
    wide: WideForm | None = None
    keeps_each: bool = True

    @property
    def reach(self) -> float:
        """How large a value n_k u_k may be where those of u_k are 1 at most."""
        return max(self.largest_weight.values(), default=1.0) * self.range_factor


@dataclass(frozen=True)
class OpenedSum:
    """Who signed, 64 bytes each and in this order, that the sum of `sites` is opened."""

    sites: tuple[SiteId, ...]
    signers: tuple[SiteId, ...]
    signatures: bytes


@dataclass(frozen=True)
class Collected:
    """The result of a round's exchange.

    total: the sum over `sites`. each: single updates, only where the aggregation reveals them; without vectors where
    nobody asked for them (`Expected.keeps_each`). replies: what else came back in the same messages, evaluation above
    all. proof: signatures of those whose sum was opened, where
    hospitals wait for it; unaware: those of `sites` that may not have heard of the opening.
    """

    total: Update | None
    sites: tuple[SiteId, ...]
    each: Mapping[SiteId, Update] | None
    replies: Mapping[SiteId, Payload]
    proof: OpenedSum | None = None
    unaware: tuple[SiteId, ...] = ()
