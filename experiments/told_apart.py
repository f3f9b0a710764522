"""Which hospitals the sums that were opened tell apart: what linear combinations of them leave, and how to take it.

A sum is of a set of hospitals. Over rounds at the same or nearly the same model, or as many rounds as there are, any
combination of sums is a combination of the hospitals' updates, and the sets decide of which: the row space of the
matrix of noughts and ones that has a row for each set. Where every set is a union of whole groups, every combination
is constant on groups (So et al. 2021); where sets differ by one hospital, it is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.cases import SiteId

Sites = tuple[SiteId, ...]
MOST_CLASSES = 12
"""Of hospitals that were always in the same sums; of more, only combinations of up to three are looked at."""
FEW = 3
Row = list[Fraction]


def told_apart(opened: Iterable[Sequence[SiteId]]) -> tuple[Sites, ...]:
    """The smallest sets of hospitals whose own sum follows from the opened ones, each sorted, the smallest first."""
    classes, rows = _matrix(opened)
    rank, found = _rank(rows), list[Sites]()
    for chosen in _choices(len(classes)):
        sites = tuple(sorted(site for place in chosen for site in classes[place]))
        if any(set(smaller) <= set(sites) for smaller in found):
            continue
        if _rank([*rows, [Fraction(place in chosen) for place in range(len(classes))]]) == rank:
            found.append(sites)
    return tuple(sorted(found, key=lambda sites: (len(sites), sites)))


def fewest_told_apart(opened: Iterable[Sequence[SiteId]]) -> int:
    """Hospitals in the combination of opened sums that has the fewest, whatever their factors; 0 where none is opened.

    One: a single update. Two: the difference of two, or their sum, and so on.
    """
    classes, rows = _matrix(opened)
    rank, sizes = _rank(rows), []
    for chosen in _choices(len(classes)):
        outside = [[row[place] for place in range(len(classes)) if place not in chosen] for row in rows]
        if _rank(outside) < rank:
            sizes.append(sum(len(classes[place]) for place in chosen))
    return min(sizes, default=0)


def combination(opened: Sequence[Sequence[SiteId]], wanted: Sequence[SiteId]) -> NDArray[np.float64] | None:
    """(K,) the factors of the K opened sums whose combination is the sum of `wanted`, least squares; None: no such."""
    sites = sorted({site for one in opened for site in one})
    if not set(wanted) <= set(sites):
        return None
    rows = np.array([[float(site in one) for site in sites] for one in opened])
    target = np.array([float(site in wanted) for site in sites])
    factors, *_ = np.linalg.lstsq(rows.T, target, rcond=None)
    return factors if np.allclose(rows.T @ factors, target, atol=1e-8) else None


def nearest(opened: Sequence[Sequence[SiteId]], site: SiteId) -> NDArray[np.float64]:
    """(K,) the factors whose combination comes nearest to one hospital alone, least squares."""
    sites = sorted({other for one in opened for other in one})
    rows = np.array([[float(other in one) for other in sites] for one in opened])
    factors, *_ = np.linalg.lstsq(rows.T, np.array([float(other == site) for other in sites]), rcond=None)
    return factors


def _matrix(opened: Iterable[Sequence[SiteId]]) -> tuple[list[Sites], list[Row]]:
    """Hospitals that were always together, and a row of noughts and ones over these classes for each set."""
    sets = sorted({tuple(sorted(one)) for one in opened})
    together: dict[tuple[bool, ...], list[SiteId]] = {}
    for site in sorted({site for one in sets for site in one}):
        together.setdefault(tuple(site in one for one in sets), []).append(site)
    patterns = list(together)
    rows = [[Fraction(pattern[index]) for pattern in patterns] for index in range(len(sets))]
    return [tuple(together[pattern]) for pattern in patterns], rows


def _choices(count: int) -> Iterable[tuple[int, ...]]:
    most = count if count <= MOST_CLASSES else FEW
    return (chosen for size in range(1, most + 1) for chosen in combinations(range(count), size))


def _rank(rows: Sequence[Sequence[Fraction]]) -> int:
    """Exact, by elimination."""
    left, rank = [list(row) for row in rows], 0
    for column in range(len(left[0]) if left else 0):
        pivot = next((index for index in range(rank, len(left)) if left[index][column]), None)
        if pivot is None:
            continue
        left[rank], left[pivot] = left[pivot], left[rank]
        for index in range(rank + 1, len(left)):
            factor = left[index][column] / left[rank][column]
            left[index] = [a - factor * b for a, b in zip(left[index], left[rank], strict=True)]
        rank += 1
    return rank
