"""Sums in the clear: the server sees every hospital's single update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._agreement import Agreement, read_agreement, with_agreement
from common.sums.aggregations._wide_sum import accepting, form_of, packed
from common.sums.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.sums.mean import excessive
from common.sums.update import Update
from common.sums.wide import CollectedWide
from common.wire.boundary import guarded
from common.wire.decoding import update_from_payload, update_to_payload


@dataclass(frozen=True)
class Plain:
    """One leg; updates are added in the order of the hospitals' names, so the sum never depends on arrival."""

    reveals: ClassVar[Reveals] = "each"

    def bytes_a_value(self, hospitals: int) -> int:
        """Of a float32."""
        return 4

    def check(self, hospitals: int) -> None:
        """Any number will do."""

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Ask, check every update, drop the bad ones by name, and add the rest."""
        replies = exchange.ask("round", requests)
        each: dict[SiteId, Update] = {}
        for site in sorted(contributing & replies.keys()):
            try:
                each[site] = guarded(partial(update_from_payload, replies[site], site, expected))
            except WireError as error:
                exchange.drop(site, "round", str(error))
                del replies[site]
        for site in _beyond_all_sums(each):
            exchange.drop(site, "round", "its numbers are so large that no sum can hold them.")
            del each[site], replies[site]
        total: Update | None = None
        for update in each.values():
            total = update if total is None else total + update
        return Collected(total, tuple(each), each, replies)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update as it is."""
        return update_to_payload(update)

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """One leg; whoever reads it reads every hospital's numbers."""
        agreement = Agreement.of(expected.cohort.sites, expected)
        form, each = form_of(agreement), {}
        asked = {site: with_agreement(request, agreement) for site, request in requests.items()}
        for site, reply in exchange.ask("round", asked).items():
            try:
                each[site] = form.unpack(guarded(partial(accepting(form), site, reply)))
            except WireError as error:
                exchange.drop(site, "round", str(error))
        if not each:
            return CollectedWide(None, ())
        return CollectedWide(tuple(map(sum, zip(*each.values(), strict=True))), tuple(each), each)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """The numbers as they are."""
        return packed(form_of(read_agreement(request)).pack(numbers))

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """There is no other leg."""
        raise WireError("aggregation 'plain' has one leg only.")


def _beyond_all_sums(each: Mapping[SiteId, Update]) -> list[SiteId]:
    """Those whose values or statistics alone take more than their share of what a sum can hold, sorted."""
    share = float(np.finfo(np.float32).max) / max(len(each), 1)
    large = {site for site, update in each.items() if any(_largest(one) > share for one in update.vectors)}
    return sorted(large | excessive({site: update.statistics for site, update in each.items()}))


def _largest(vector: NDArray[np.floating]) -> float:
    return float(max(vector.max(initial=0), -vector.min(initial=0)))


aggregation: type[Aggregation] = Plain
