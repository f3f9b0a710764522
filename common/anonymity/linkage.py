"""Linkage: finding a person's row in a release by what one knows of the person from elsewhere (Sweeney 2002).

The adversary knows the quasi-identifiers of a person who is in the release, and something else of theirs, such as a
cholesterol that a fitness app saw, within a tolerance: side knowledge, which no k is about. Whoever is left of the
person's group is a candidate. Where one is left the person is found; where all that are left share a diagnosis the
diagnosis is known, although the row is not (Machanavajjhala et al. 2007, "homogeneity attack").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError

BLOCK = 256
"""Rows that are compared with others at a time."""


@dataclass(frozen=True)
class Linked:
    """candidates: (N,) rows that each person may be, the person's own among them. known: whose sensitive value is."""

    candidates: NDArray[np.int64]
    known: NDArray[np.bool_]

    @property
    def found(self) -> float:
        """Share of persons whose row is found: no other can be theirs."""
        return float((self.candidates == 1).mean()) if len(self.candidates) else 0.0

    @property
    def guessed(self) -> float:
        """Share of persons whose row would be found by guessing among the candidates."""
        return float((1 / self.candidates).mean()) if len(self.candidates) else 0.0

    @property
    def disclosed(self) -> float:
        """Share of persons whose sensitive value is known for sure."""
        return float(self.known.mean()) if len(self.known) else 0.0


def linked(
    group: NDArray[np.int64],
    side: Mapping[str, NDArray[np.float64]],
    tolerance: Mapping[str, float],
    sensitive: NDArray[np.str_] | None = None,
) -> Linked:
    """Try it on every row: how many of its group could be the person. Every row is one person's.

    Args:
        group: (N,) which rows are released alike.
        side: (N,) what is released of other columns and known of the person, NaN where nothing was written down:
            such a row could be anybody's, and of such a person nothing is known.
        tolerance: of each of `side`, by how much what is known may be off, in the column's own unit.
        sensitive: (N,) what nobody is to learn.

    Raises:
        StudyError: where a column has no tolerance, or one below 0.
    """
    for name in side:
        if not tolerance.get(name, -1.0) >= 0:
            raise StudyError(f"side knowledge of {name!r} needs a tolerance of 0 or more in the column's own unit.")
    candidates, known = np.ones(len(group), np.int64), np.zeros(len(group), np.bool_)
    values = np.zeros(len(group), np.int64)
    if sensitive is not None:
        values = np.unique(sensitive, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(group) else ():
        alike = values[rows]
        candidates[rows], known[rows] = _of_group({name: of[rows] for name, of in side.items()}, tolerance, alike)
    return Linked(candidates, known & (sensitive is not None))


def _of_group(
    side: Mapping[str, NDArray[np.float64]], tolerance: Mapping[str, float], alike: NDArray[np.int64], /
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of each row of one group: how many rows fit, and whether these have one sensitive value.

    Rows are gone through in the order of one column, since only those near in it can fit: a group may be large.
    """
    rows = len(alike)
    if not side:
        return np.full(rows, rows), np.full(rows, (alike == alike[0]).all())
    first = next(iter(side))
    order = np.argsort(side[first], kind="stable")
    told = {name: values[order] for name, values in side.items()}
    alike, near, reach = alike[order], told[first], tolerance[first]
    written = int((~np.isnan(near)).sum())
    candidates, known = np.empty(rows, np.int64), np.empty(rows, np.bool_)
    for begin in range(0, rows, BLOCK):
        block = slice(begin, min(begin + BLOCK, rows))
        low, high = 0, written
        if block.stop <= written:
            low = int(np.searchsorted(near[:written], near[begin] - 2 * reach, side="left"))
            high = int(np.searchsorted(near[:written], near[block.stop - 1] + 2 * reach, side="right"))
        window = np.concatenate([np.arange(low, high), np.arange(written, rows)])
        fits = np.ones((block.stop - begin, len(window)), dtype=np.bool_)
        for name, values in told.items():
            fits &= ~(np.abs(values[block, None] - values[None, window]) > tolerance[name])
        candidates[order[block]] = fits.sum(axis=1)
        known[order[block]] = ((alike[block, None] == alike[None, window]) | ~fits).all(axis=1)
    return candidates, known
