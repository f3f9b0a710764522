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

UNITS_PER_ONE = 1 << 40
LARGEST_UNITS = (1 << 62) - 1


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
