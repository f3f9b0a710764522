"""Updates that are read one by one, added up in the order of their hospitals' names as they come, each then let go.

The order fixes the last bits of a sum of doubles, so that no engine's and no line's speed shows in a model. An update
that comes before another of an earlier name waits for it. What is large enough that it may have to be left out once
all are known, and whatever follows it, waits until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.errors import WireError
from common.sums.exchange import Collected, Exchange, Expected, Payload
from common.sums.mean import LARGEST_UNITS, Statistics, excessive, merge
from common.sums.update import Update
from common.wire.boundary import guarded
from common.wire.decoding import update_from_payload


@dataclass
class InOrder:
    """One leg's sum. order: hospitals that contribute, sorted. total: of those whose turn it was.

    each: accepted so far, with their vectors only where they are asked for.
    """

    exchange: Exchange
    expected: Expected
    order: tuple[SiteId, ...]
    total: Update | None = None
    each: dict[SiteId, Update] = field(default_factory=dict)
    replies: dict[SiteId, Payload] = field(default_factory=dict)
    _early: dict[SiteId, Payload | None] = field(default_factory=dict)
    _waiting: dict[SiteId, Update] = field(default_factory=dict)
    _turn: int = 0

    def take(self, site: SiteId, reply: Payload | None) -> None:
        """What came of one hospital, None where nothing will."""
        self._early[site] = reply
        del reply
        while self._turn < len(self.order) and self.order[self._turn] in self._early:
            due = self.order[self._turn]
            self._turn += 1
            self._accept(due, self._early.pop(due))

    def _accept(self, site: SiteId, reply: Payload | None) -> None:
        if reply is None:
            return
        try:
            update = guarded(partial(update_from_payload, reply, site, self.expected))
        except WireError as error:
            self.exchange.drop(site, "round", str(error))
            return
        self.replies[site] = replace(reply, array=None)
        if self._waiting or _is_large(update, len(self.order)):
            self._waiting[site] = update
        else:
            self._add(site, update)

    def _add(self, site: SiteId, update: Update) -> None:
        self.each[site] = update if self.expected.keeps_each else replace(update, vectors=())
        self.total = _begun(update) if self.total is None else _added(self.total, update)

    def collected(self) -> Collected:
        """Of all, once nothing more comes."""
        for site in _beyond_all_sums(self.each, self._waiting):
            self.exchange.drop(site, "round", "its numbers are so large that no sum can hold them.")
            del self._waiting[site], self.replies[site]
        while self._waiting:
            site = next(iter(self._waiting))
            self._add(site, self._waiting.pop(site))
        return Collected(self.total, tuple(self.each), self.each, self.replies)


def _begun(update: Update) -> Update:
    """A sum of one, of doubles of its own: the update as it came would lie beside them while the next is added."""
    return replace(update, vectors=tuple(vector.astype(np.float64) for vector in update.vectors))


def _added(total: Update, update: Update) -> Update:
    """As `total + update`, to the bit. total: begun here, so that nobody else holds its vectors."""
    for sums, vector in zip(total.vectors, update.vectors, strict=True):
        np.add(sums, vector, out=sums)
    return Update(total.vectors, total.weight + update.weight, merge([total.statistics, update.statistics]))


def _is_large(update: Update, hospitals: int) -> bool:
    """Whether this could be more than an equal share of what a sum can hold, of so many hospitals or fewer."""
    return any(_largest(one) > _share(hospitals) for one in update.vectors) or any(
        max(abs(mean.total_units), mean.weight_units) > LARGEST_UNITS // hospitals
        for mean in update.statistics.values()
    )


def _beyond_all_sums(added: Mapping[SiteId, Update], waiting: Mapping[SiteId, Update]) -> list[SiteId]:
    """Those whose values or statistics alone take more than their share of what a sum can hold, sorted."""
    share = _share(len(added) + len(waiting))
    large = {site for site, update in waiting.items() if any(_largest(one) > share for one in update.vectors)}
    statistics: dict[SiteId, Statistics] = {site: one.statistics for site, one in {**added, **waiting}.items()}
    return sorted(large | excessive(statistics))


def _share(hospitals: int) -> float:
    return float(np.finfo(np.float32).max) / max(hospitals, 1)


def _largest(vector: NDArray[np.floating]) -> float:
    return float(max(vector.max(initial=0), -vector.min(initial=0)))
