"""Sums that are exact in any order, made as their parts come, each of which is then let go.

Words modulo a power of two and ciphertexts are such sums. Where hospitals are in groups, of which only whole ones are
opened, every group has a sum of its own until it is known which are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from common.data.names import SiteId
from common.errors import WireError
from common.sums.cohort import Cohort
from common.sums.exchange import Payload

T = TypeVar("T")


class Folding(Generic[T]):
    """cohort: whose groups are kept apart. add: the sum of a sum, None at first, and one more; it may change both."""

    def __init__(self, cohort: Cohort, add: Callable[[T | None, T], T]) -> None:
        self._add = add
        self._groups: Sequence[Collection[SiteId]] = cohort.groups or (cohort.sites,)
        self._group_of = {site: place for place, group in enumerate(self._groups) for site in group}
        self._totals: dict[int, T] = {}
        self._is_spoiled = False

    def taking(self, accept: Callable[[SiteId, Payload], T]) -> Callable[[SiteId, Payload], None]:
        """As `accept`, and what it makes of a reply is added up."""

        def take(site: SiteId, reply: Payload) -> None:
            part, group = accept(site, reply), self._group_of[site]
            self._is_spoiled = True
            self._totals[group] = self._add(self._totals.get(group), part)
            self._is_spoiled = False

        return take

    def total(self, sites: Collection[SiteId]) -> T:
        """Of these, which are at least one and all that were taken of their groups.

        Raises WireError where a part could not be added up: nobody knows then what the sum holds.
        """
        if self._is_spoiled:
            raise WireError("a part of the sum could not be added up.")
        groups = dict.fromkeys(self._group_of[site] for site in sorted(sites))
        total: T | None = None
        for group in groups:
            part = self._totals.pop(group)
            total = part if total is None else self._add(total, part)
        assert total is not None
        return total
