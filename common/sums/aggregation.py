"""The role of an aggregation, how a sum is made, and what a hospital's half of it has at hand."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from common.data.names import SiteId
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.identity import Identity
from common.sums.opening_proof import Keeping, KeepsNothing
from common.sums.update import Update


@dataclass
class Local:
    """What a hospital's half of a protocol works with, in one leg of one round.

    study: SHA-256 of the study, hex, so that what is signed for one study is worth nothing in another. identity:
    signs as this hospital, and knows the others. secrets: kept from leg to leg of one run, in memory and never on
    a disk; lost with the process, and then this hospital is out of the round. rng: for draws that protect
    nothing, such as stochastic rounding. cohort: this round's hospitals, computed here from the approved study. run:
    which run of the study, so that nothing signed in another is worth anything. data: which data of the hospital's,
    in any words that another study on them has too. folder: the hospital's own, for what must survive a crash; None
    where it has none. keeping: whatever keeps this hospital's state between rounds; a protocol that opens sums tells
    it which rounds were opened. most_clipped: share of this hospital's values that may be cut to the range of a sum.
    selection: what the study says, and digest of whose cases it takes here; "" where noise covers differences. asked:
    what the question says that is answered, as this hospital reads it, whatever way it is written.
    """

    site: SiteId
    round: int
    study: str
    identity: Identity
    secrets: MutableMapping[str, bytes]
    rng: np.random.Generator
    cohort: Cohort
    run: str = ""
    data: str = ""
    folder: Path | None = None
    keeping: Keeping = field(default_factory=KeepsNothing)
    most_clipped: float = 1.0
    selection: tuple[str, str] = ("", "")
    asked: str = ""


class Aggregation(Protocol):
    """How a sum is made; entries live in `common/sums/aggregations/`, both halves of a protocol in one file.

    Where it reveals only sums, statistics of an update go into the sum as well, and evaluation rides in them. What it
    can have beside these members is in `common.sums.abilities`.
    """

    reveals: ClassVar[Reveals]
    """What the server learns: every single update, or only their sum."""

    def check(self, hospitals: int) -> None:
        """Refuse settings that cannot work; called before any hospital is asked.

        Args:
            hospitals: how many there are.

        Raises:
            StudyError: the settings cannot work for so many.
        """
        ...

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Server half, any number of legs.

        Args:
            exchange: asks hospitals, and hears them.
            requests: what goes out with the leg "round".
            contributing: who trains. Hospitals in `requests` beside these only evaluate; where only sums are
                revealed there are none.
            expected: what a reply must look like.

        Returns:
            The sum, or single updates, and who is in it.
        """
        ...

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """Hospital half of the leg "round".

        Args:
            update: of the hospital's training, one weighted vector (P,) float32 with its statistics.
            request: as `collect` sent it.
            local: what the hospital knows of itself: its name, its key, the round, its draws.

        Returns:
            The update as it may leave.
        """
        ...

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Hospital half of every other leg.

        Args:
            leg: its name.
            request: as `collect` sent it.
            local: what the hospital knows of itself.

        Returns:
            What may leave.

        Raises:
            WireError: the request must not be answered.
        """
        ...
