"""Beside a k-anonymous release: noisy counts on a grid, as coarse on average, and rows that are drawn from them.

Counts with two-sided geometric noise (Ghosh et al. 2009, "Universally utility-maximizing privacy mechanisms"): one
person changes one count by 1, so noise with decay epsilon keeps epsilon-differential privacy, whatever anybody knows
besides. Rows are drawn afterwards, which costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from common.anonymity.domains import NumberDomain
from common.privacy.noise_source import IntegerNoise
from experiments.anonymising.conduct import Release, Wanted, codes_of, domain_of
from experiments.anonymising.hierarchies import Meanings
from experiments.anonymising.table import Table

MOST_CELLS, MOST_BINS = 100_000, 64


@dataclass(frozen=True)
class NoisyRelease:
    """found: share of people whom exactly one row fits, none of which is anybody's. told: share of all people of whom
    that row has the sensitive value; None where there is none. guessed: of whom the most frequent value is the right
    one, among the same people. loss: mean width of its cells. misplaced: share of rows that are in another cell than
    the table's.
    """

    epsilon: float
    cells: int
    rows: int
    loss: float
    misplaced: float
    found: float
    told: float | None
    guessed: float | None


def noisy_release(
    table: Table, wanted: Wanted, release: Release, epsilon: float, source: IntegerNoise
) -> NoisyRelease:
    """Of quasi-identifiers and the sensitive column, as coarse as the release, and searched for the same people."""
    names = (*wanted.quasi, *([wanted.sensitive] if wanted.sensitive else ()))
    codes, widths = _gridded(table, wanted, names, release.loss)
    sizes = tuple(int(size) for size in codes.max(axis=0) + 1)
    true = np.bincount(np.ravel_multi_index(tuple(codes.T), sizes), minlength=prod(sizes))
    noise = source.geometric_share(len(true), Fraction(epsilon).limit_denominator(10**6), 1)
    counts = np.maximum(true + noise, 0)
    drawn = np.stack(np.unravel_index(np.repeat(np.arange(len(counts)), counts), sizes), axis=1)
    known = len(wanted.quasi)
    fits, value = _tried(codes[:, :known], drawn, sizes[:known], wanted.sensitive != "")
    rows = len(drawn)
    misplaced = float(np.abs(true - counts).sum() / max(len(codes) + rows, 1))
    loss = float(np.mean(widths[:known]))
    found, told, guessed = fits == 1, None, None
    if wanted.sensitive:
        usual = np.bincount(codes[:, -1]).argmax()
        told = float((found & (value == codes[:, -1])).mean())
        guessed = float((found & (codes[:, -1] == usual)).mean())
    return NoisyRelease(epsilon, len(true), rows, loss, misplaced, float(found.mean()), told, guessed)


def _tried(
    people: NDArray[np.int64], drawn: NDArray[np.int64], sizes: tuple[int, ...], has_value: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) how many of the drawn rows fit each person, and the sensitive value of the last of them."""
    rows = np.ravel_multi_index(tuple(drawn[:, : len(sizes)].T), sizes)
    fitting, value = np.bincount(rows, minlength=prod(sizes)), np.full(prod(sizes), -1)
    if has_value:
        value[rows] = drawn[:, -1]
    at = np.ravel_multi_index(tuple(people.T), sizes)
    return fitting[at], value[at]


def _gridded(
    table: Table, wanted: Wanted, names: tuple[str, ...], loss: float
) -> tuple[NDArray[np.int64], list[float]]:
    """(N, names) places in bins as wide as the release's values, or wider where there would be too many cells."""
    numeric = sum(isinstance(domain_of(table, name, wanted.meanings), NumberDomain) for name in wanted.quasi)
    bins = min(MOST_BINS, max(2, ceil(numeric / max(loss * len(wanted.quasi), 1e-9)))) if numeric else 2
    while True:
        columns = [_binned(table, wanted, name, bins) for name in names]
        if bins <= 2 or prod(int(column.max()) + 1 for column, _ in columns) <= MOST_CELLS:
            return np.stack([column for column, _ in columns], axis=1), [width for _, width in columns]
        bins = max(2, bins * 3 // 4)


def _binned(table: Table, wanted: Wanted, name: str, bins: int) -> tuple[NDArray[np.int64], float]:
    """Place 0 is of what is unknown."""
    domain = domain_of(table, name, Meanings({}, wanted.meanings.orders))
    if not isinstance(domain, NumberDomain) or (len(domain.values) <= bins):
        return codes_of(table, [domain])[:, 0], 0.0
    days = table.days(name)
    values = table.records.numbers(name) if days is None else days
    low, span = domain.values[0], max(domain.values[-1] - domain.values[0], 1e-300)
    places = np.clip(np.floor((np.where(np.isnan(values), low, values) - low) / span * bins), 0, bins - 1)
    return np.where(np.isnan(values), 0, 1 + places).astype(np.int64), 1 / bins
