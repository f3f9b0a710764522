"""A round whose groups are not whole is asked for again, until its hospitals are back or the wait is over.

The very same orders go out again, so that hospitals answer them, and nothing was opened before: the repeat costs time
alone. Where noise covers the difference of two sums there are no groups, and nothing is repeated. Without groups a
round is repeated where it has too few hospitals, and one refused it for a reason that time may change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol, TypeVar

from common.data.names import SiteId
from common.study.federation import Federation
from common.sums.cohort import Cohort
from common.wire.refusals import ASKED_AGAIN, BEYOND_RANGE
from server.exchange import GridExchange

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0


class OfHospitals(Protocol):
    """Whatever is collected of hospitals."""

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Whose it is."""
        ...


C = TypeVar("C", bound=OfHospitals)


@dataclass
class Waiting:
    """One round's tries. lasting: reasons of hospitals that no wait mends.

    attempts: how many. is_too_narrow: whether a hospital refused the range of the last.
    """

    federation: Federation
    cohort: Cohort
    exchange: GridExchange
    lasting: Collection[str] = ()
    attempts: int = 0
    is_too_narrow: bool = False

    def collect(self, once: Callable[[], C]) -> C:
        """What `once` opens, tried until it does; its last answer where that takes longer than the study waits."""
        deadline, pause = monotonic() + self.federation.dropout_wait_s, SHORTEST_PAUSE_S
        while True:
            self.attempts += 1
            before = len(self.exchange.dropped)
            collected = once()
            self.is_too_narrow = any(drop.reason == BEYOND_RANGE for drop in self.exchange.dropped[before:])
            left = deadline - monotonic()
            waits = (self._may_wait or self._may_come(before)) and not self._refused_for_good(before)
            if self._is_enough(collected) or self.is_too_narrow or not waits or left <= 0:
                return collected
            sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _is_enough(self, collected: OfHospitals) -> bool:
        return bool(collected.sites) and (bool(self.cohort.groups) or len(collected.sites) >= self.cohort.least)

    def _may_come(self, before: int) -> bool:
        """Whether one of the last try's refused for now. Where noise is paid for, no round is paid for twice."""
        refused = any(drop.reason in ASKED_AGAIN.values() for drop in self.exchange.dropped[before:])
        return refused and not self.cohort.is_covered and self.federation.on_dropout != "stop"

    def _refused_for_good(self, before: int) -> bool:
        return any(drop.reason in self.lasting for drop in self.exchange.dropped[before:])

    @property
    def _may_wait(self) -> bool:
        return bool(self.cohort.groups) and self.federation.on_dropout != "stop"
