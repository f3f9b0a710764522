"""A release: every row with its quasi-identifiers as its group has them, and what that lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.anonymity.criteria import Criteria, closeness, diversity
from common.anonymity.domains import Domain, WordDomain
from common.anonymity.partition import Group


def ends(domain: Domain, low: int, high: int) -> tuple[int, int]:
    """The codes that a group's value stands for."""
    return domain.widened(low, high) if isinstance(domain, WordDomain) else (low, high)


def words(domains: Sequence[Domain], group: Group) -> tuple[str, ...]:
    """What is released in place of a group's quasi-identifiers."""
    return tuple(
        domain.says(*ends(domain, low, high))
        for domain, low, high in zip(domains, group.low, group.high, strict=True)
    )


def information_loss(domains: Sequence[Domain], groups: Sequence[Group]) -> float:
    """Mean width of a released value over rows and columns, 0 to 1 (Xu et al. 2006, global certainty penalty)."""
    rows = np.array([group.rows for group in groups])
    widths = [
        domain.width(*np.array([ends(domain, group.low[index], group.high[index]) for group in groups]).T)
        for index, domain in enumerate(domains)
    ]
    return float(np.average(np.mean(widths, axis=0), weights=rows))


def achieved(groups: Sequence[Group], criteria: Criteria) -> dict[str, float]:
    """k, l and t as the release has them: the fewest rows and values of any group, and the largest distance."""
    counts = np.array([group.counts for group in groups], dtype=np.int64)
    everybody: NDArray[np.int64] = counts.sum(axis=0)
    return {
        "k": float(counts.sum(axis=1).min()),
        "l": float(diversity(counts, criteria.diversity).min()),
        "t": float(closeness(counts, everybody, criteria.distance).max()),
    }


def suppressible(
    domains: Sequence[Domain], groups: Sequence[Group], criteria: Criteria, most_suppressed: float
) -> tuple[Group, ...]:
    """The groups that are left where the widest are left out, up to that share of all rows.

    A group is left out whole, and only as long as the others keep the criteria beside one another.
    """
    left = round(most_suppressed * sum(group.rows for group in groups))
    kept = list(groups)
    for group in sorted(groups, key=lambda one: -information_loss(domains, [one])):
        without = [one for one in kept if one is not group]
        if group.rows > left or not without or information_loss(domains, [group]) <= 0:
            continue
        counts = np.array([one.counts for one in without], dtype=np.int64)
        if criteria.hold(counts, counts.sum(axis=0)).all():
            kept, left = without, left - group.rows
    return tuple(kept)
