"""Which hospitals the sums that were opened tell apart: what linear combinations of them leave, and how to take it.

A sum is of a set of hospitals. Over rounds at the same or nearly the same model, or as many rounds as there are, any
combination of sums is a combination of the hospitals' updates, and the sets decide of which: the row space of the
matrix of noughts and ones that has a row for each set. Where every set is a union of whole groups, every combination
is constant on groups (So et al. 2021); where sets differ by one hospital, it is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId

Sites = tuple[SiteId, ...]
Row = tuple[int, ...]
MOST_CLASSES = 12
"""Of hospitals that were always in the same sums: of more only single classes, opened sets and differences of two
are looked at."""
PRIME = (1 << 31) - 1
"""Ranks are counted modulo this: determinants of noughts and ones of 12 columns are smaller, and so ranks exact."""
ALONE = 1 - 1e-9
"""Of a direction's length in the row space: all of it."""


def told_apart(opened: Iterable[Sequence[SiteId]]) -> tuple[Sites, ...]:
    """The smallest sets of hospitals whose own sum follows from the opened ones, each sorted, the smallest first."""
    classes, rows = _matrix(opened)
    found: list[frozenset[int]] = []
    for chosen in _choices(len(classes), rows):
        if not any(smaller <= chosen for smaller in found) and _follows(rows, chosen, len(classes)):
            found.append(chosen)
    return tuple(sorted((_sites(classes, one) for one in found), key=lambda sites: (len(sites), sites)))


def fewest_told_apart(opened: Iterable[Sequence[SiteId]]) -> int:
    """How many hospitals are in the combination of opened sums that is over the fewest; 0 where none is opened.

    One: a single update. Two: the sum or the difference of two, whatever their factors; and so on.
    """
    classes, rows = _matrix(opened)
    if len(rows) == len(classes):
        return min(map(len, classes), default=0)
    if len(classes) > MOST_CLASSES:
        return min(map(len, told_apart(opened)))
    outside = {
        chosen: [tuple(row[place] for place in range(len(classes)) if place not in chosen) for row in rows]
        for chosen in _choices(len(classes), rows)
    }
    found = (chosen for chosen, left in outside.items() if len(_independent(left)) < len(rows))
    return min((len(_sites(classes, chosen)) for chosen in found), default=0)


def combination(opened: Sequence[Sequence[SiteId]], wanted: Sequence[SiteId]) -> NDArray[np.float64] | None:
    """(K,) factors of the K opened sums whose combination is the sum of `wanted`, the smallest; None: no such."""
    sites, rows = _table(opened)
    if not set(wanted) <= set(sites):
        return None
    target = np.array([float(site in wanted) for site in sites])
    factors, *_ = np.linalg.lstsq(rows.T, target, rcond=None)
    return factors if np.allclose(rows.T @ factors, target, atol=1e-8) else None


def nearest(opened: Sequence[Sequence[SiteId]], site: SiteId) -> NDArray[np.float64]:
    """(K,) factors whose combination comes nearest to one hospital alone, by least squares."""
    sites, rows = _table(opened)
    factors, *_ = np.linalg.lstsq(rows.T, np.array([float(other == site) for other in sites]), rcond=None)
    return np.asarray(factors)


def _table(opened: Sequence[Sequence[SiteId]]) -> tuple[Sites, NDArray[np.float64]]:
    sites = tuple(sorted({site for one in opened for site in one}))
    return sites, np.array([[float(site in one) for site in sites] for one in opened])


def _matrix(opened: Iterable[Sequence[SiteId]]) -> tuple[list[Sites], list[Row]]:
    """Hospitals that were always together; and independent rows of noughts and ones over these classes."""
    sets = sorted({tuple(sorted(one)) for one in opened})
    together: dict[Row, list[SiteId]] = {}
    for site in sorted({site for one in sets for site in one}):
        together.setdefault(tuple(int(site in one) for one in sets), []).append(site)
    rows = [tuple(pattern[index] for pattern in together) for index in range(len(sets))]
    return [tuple(sites) for sites in together.values()], _independent(rows)


def _choices(count: int, rows: Sequence[Row]) -> Iterator[frozenset[int]]:
    """Sets of classes, the smallest first."""
    if count <= MOST_CLASSES:
        yield from (frozenset(one) for size in range(1, count + 1) for one in combinations(range(count), size))
        return
    opened = [frozenset(place for place, there in enumerate(row) if there) for row in rows]
    differences = [larger - smaller for larger in opened for smaller in opened if smaller < larger]
    yield from (frozenset([place]) for place in range(count))
    yield from sorted([*differences, *opened], key=len)


def _follows(rows: Sequence[Row], chosen: frozenset[int], count: int) -> bool:
    """Whether the sum of these classes is in the row space."""
    wanted = tuple(int(place in chosen) for place in range(count))
    if count <= MOST_CLASSES:
        return len(_independent([*rows, wanted])) == len(rows)
    space = np.linalg.qr(np.array(rows, np.float64).T)[0]
    return bool(np.linalg.norm(np.array(wanted) @ space) >= ALONE * np.linalg.norm(wanted))


def _sites(classes: Sequence[Sites], chosen: Iterable[int]) -> Sites:
    return tuple(sorted(site for place in chosen for site in classes[place]))


def _independent(rows: Sequence[Row]) -> list[Row]:
    """Those that none before them gives, by elimination."""
    kept: list[Row] = []
    reduced: list[tuple[int, list[int]]] = []
    for row in rows:
        left = list(row)
        for column, pivot in reduced:
            if left[column]:
                left = [(a - left[column] * b) % PRIME for a, b in zip(left, pivot, strict=True)]
        column = next((place for place, value in enumerate(left) if value), -1)
        if column >= 0:
            inverse = pow(left[column], -1, PRIME)
            reduced.append((column, [value * inverse % PRIME for value in left]))
            kept.append(row)
    return kept
