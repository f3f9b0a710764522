"""A mean that merges exactly: hospitals' means add up to the mean of the pooled data, in any order.

Floating-point addition depends on order, so totals and weights are kept as whole numbers of UNIT = 2**-40
(9e-13): addition is then exact, associative and commutative, and the same integers can be summed under masks.
Each value is rounded once, to the nearest unit, before it is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

UNITS_PER_ONE = 1 << 40
LARGEST_UNITS = (1 << 62) - 1
MOST_WEIGHT = LARGEST_UNITS // UNITS_PER_ONE
"""That all hospitals' means come to: 4,194,303 cases where each weighs 1."""
MANY = 8
"""Of so many numbers and more a sum by array is faster."""


@dataclass(frozen=True)
class Mean:
    """A weighted sum and its weight, both in units of 2**-40."""

    total_units: int = 0
    weight_units: int = 0

    @classmethod
    def of(cls, values: Iterable[float], weights: Iterable[float] | None = None) -> Mean:
        """The mean of `values`, each weighted 1 or by `weights` (non-negative).

        Raises ValueError for a value or weight that is not finite, and OverflowError past 4 million in all.
        """
        numbers = [float(value) for value in values]
        sizes = [1.0] * len(numbers) if weights is None else [float(weight) for weight in weights]
        if len(sizes) != len(numbers):
            raise ValueError(f"{len(numbers)} values came with {len(sizes)} weights.")
        if len(numbers) >= MANY and min(sizes) >= 0:
            with np.errstate(over="ignore", invalid="ignore"):
                totals, units = _units_of(np.multiply(numbers, sizes)), _units_of(np.array(sizes))
            if totals is not None and units is not None:
                return cls(int(totals.sum()), int(units.sum()))
        return reduce(Mean.__add__, map(_one, numbers, sizes), cls())

    def __add__(self, other: Mean) -> Mean:
        """Exact, in any order."""
        total, weight = self.total_units + other.total_units, self.weight_units + other.weight_units
        if abs(total) > LARGEST_UNITS or weight > LARGEST_UNITS:
            raise OverflowError("a mean's total or weight is past 4,194,303; use smaller weights.")
        return Mean(total, weight)

    @property
    def weight(self) -> float:
        """The sum of the weights."""
        return self.weight_units / UNITS_PER_ONE

    @property
    def value(self) -> float:
        """The mean; NaN where nothing was added, never a silent zero."""
        return self.total_units / self.weight_units if self.weight_units else math.nan


def means_of(columns: Mapping[str, NDArray[np.floating]]) -> dict[str, Mean]:
    """The mean of each column by name; NaN counts nothing. Raises as `Mean.of`."""
    return {name: Mean.of(column[~np.isnan(column)].tolist()) for name, column in columns.items()}


def means_of_groups(
    columns: Mapping[str, NDArray[np.floating]], group: NDArray[np.integer], count: int
) -> list[dict[str, Mean]]:
    """`means_of` the rows of each group, numbered from 0 to count - 1. Raises as `Mean.of`."""
    found: list[dict[str, Mean]] = [{} for _ in range(count)]
    for name, column in columns.items():
        kept = ~np.isnan(column)
        units, sizes = _units_of(column[kept]), np.bincount(group[kept], minlength=count)
        if units is None:
            parts = [Mean.of(column[kept & (group == one)].tolist()) for one in range(count)]
        else:
            totals = np.zeros(count, np.int64)
            np.add.at(totals, group[kept], units)
            parts = [Mean(int(t), int(n) * UNITS_PER_ONE) for t, n in zip(totals, sizes, strict=True)]
        for one, mean in zip(found, parts, strict=True):
            one[name] = mean
    return found


def _units_of(values: NDArray[np.floating]) -> NDArray[np.int64] | None:
    """Values in units, each rounded; None where one is not finite, or a sum of them might not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.asarray(values, np.float64) * UNITS_PER_ONE
        fits = np.abs(exact).sum() < LARGEST_UNITS / 2  # not where one is NaN
    return np.rint(exact).astype(np.int64) if fits else None


def _one(value: float, weight: float) -> Mean:
    if not (math.isfinite(value) and math.isfinite(weight) and weight >= 0):
        raise ValueError(f"a mean takes finite values and non-negative weights; got {value} weighted {weight}.")
    return Mean(round(value * weight * UNITS_PER_ONE), round(weight * UNITS_PER_ONE))


Statistics = Mapping[str, Mean]
Part = TypeVar("Part")


def merge(parts: Iterable[Statistics]) -> dict[str, Mean]:
    """Statistics of the pooled data from those of its parts; a name missing in a part adds nothing."""
    merged: dict[str, Mean] = {}
    for part in parts:
        for name, mean in part.items():
            merged[name] = merged.get(name, Mean()) + mean
    return merged


def excessive(parts: Mapping[Part, Statistics]) -> set[Part]:
    """Which parts to leave out so that `merge` of the others cannot overflow; none where it would not.

    Those with more than an equal share of the room: honest ones stay, whoever comes first.
    """
    found: set[Part] = set()
    for name in {name for part in parts.values() for name in part}:
        sizes = {key: _units(part[name]) for key, part in parts.items() if name in part}
        if sum(sizes.values()) > LARGEST_UNITS:
            found |= {key for key, size in sizes.items() if size > LARGEST_UNITS // len(sizes)}
    return found


def _units(mean: Mean) -> int:
    return max(abs(mean.total_units), mean.weight_units)
