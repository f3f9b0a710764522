"""Cohort: the hospitals of one round, and which of their sums may be opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from common.data.names import SiteId
from common.errors import WireError

Groups = tuple[tuple[SiteId, ...], ...]


@dataclass(frozen=True)
class Cohort:
    """The hospitals of one round.

    sites: sorted. least: fewest whose sum may be opened. groups: those that an opened set takes whole or not at all;
    () where any set of enough hospitals may be opened. is_covered: whether noise covers the difference of two sums.
    """

    sites: tuple[SiteId, ...]
    least: int = 1
    groups: Groups = ()
    is_covered: bool = False

    def demanding(self, least: int) -> Cohort:
        """The same, and at least so many in a sum."""
        return replace(self, least=max(self.least, least))

    def openable(self, answered: Iterable[SiteId]) -> tuple[SiteId, ...]:
        """The most of those that answered whose sum may be opened, sorted; () where it may be of none."""
        there = set(answered) & set(self.sites)
        if self.groups:
            there = {site for group in self.groups if there.issuperset(group) for site in group}
        return tuple(sorted(there)) if len(there) >= self.least else ()

    def together(self, one: SiteId, other: SiteId) -> bool:
        """Whether these are in one group, so that whatever is opened holds both or neither."""
        return any(one in group and other in group for group in self.groups)

    def absent(self, answered: Iterable[SiteId]) -> tuple[SiteId, ...]:
        """Who is missing of groups that are not whole, sorted."""
        return tuple(sorted(set(self.sites) - set(answered))) if self.groups else ()

    def refuse_another(self, sites: Sequence[SiteId]) -> None:
        """Raise WireError where these are not this round's hospitals."""
        if tuple(sites) != self.sites:
            raise WireError(f"this round is of {len(self.sites)} hospitals that the study draws; others were named.")

    def refuse_opening(self, sites: Sequence[SiteId]) -> None:
        """Raise WireError where the sum of these may not be opened."""
        if not set(sites) <= set(self.sites):
            raise WireError("a sum was asked for of hospitals that this round does not have.")
        if len(sites) < self.least:
            raise WireError(f"{len(sites)} hospitals are named; this round needs {self.least}.")
        if self.groups and self.openable(sites) != tuple(sorted(sites)):
            raise WireError("a sum may be opened of whole groups of hospitals only; this one has a part of a group.")
