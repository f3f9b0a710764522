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
    return float(np.average(widths(domains, groups), weights=[group.rows for group in groups]))


def widths(domains: Sequence[Domain], groups: Sequence[Group]) -> NDArray[np.float64]:
    """(groups,) mean width of each one's released values, 0 to 1."""
    found = [
        domain.width(*np.array([ends(domain, group.low[index], group.high[index]) for group in groups]).T)
        for index, domain in enumerate(domains)
    ]
    mean: NDArray[np.float64] = np.mean(found, axis=0)
    return mean


def achieved(groups: Sequence[Group], criteria: Criteria) -> dict[str, float]:
    """k, l and t as the release has them: the fewest rows and values of any group, and the largest distance."""
    counts = np.array([group.counts for group in groups], dtype=np.int64)
    everybody: NDArray[np.int64] = counts.sum(axis=0)
    return {
        "k": float(counts.sum(axis=1).min()),
        "l": float(diversity(counts, criteria.diversity, criteria.c).min()),
        "t": float(closeness(counts, everybody, criteria.distance, criteria.branches).max()),
    }


def suppressible(
    domains: Sequence[Domain], groups: Sequence[Group], criteria: Criteria, most_suppressed: float
) -> tuple[Group, ...]:
    """The groups that are left where the widest are left out.

    A group is left out whole, and only as long as the others keep the criteria beside one another.

    Args:
        domains: one a column.
        groups: all of them.
        criteria: what those that are left must keep.
        most_suppressed: share of all rows that may be left out.
    """
    left = int(most_suppressed * sum(group.rows for group in groups) + 1e-9)
    counts = np.array([group.counts for group in groups], dtype=np.int64)
    wide, kept, everybody = widths(domains, groups), np.ones(len(groups), np.bool_), counts.sum(axis=0)
    for place in np.argsort(-wide, kind="stable").tolist():
        rows = groups[place].rows
        if rows > left or wide[place] <= 0 or rows == everybody.sum():
            continue
        kept[place] = False
        # Nothing but the distance to all rows changes for a group by others' leaving.
        if criteria.t < 1 and not criteria.hold(counts[kept], everybody - counts[place]).all():
            kept[place] = True
        else:
            everybody, left = everybody - counts[place], left - rows
    return tuple(group for group, stays in zip(groups, kept.tolist(), strict=True) if stays)
