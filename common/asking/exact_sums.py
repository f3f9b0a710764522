"""Sums without rounding: whole numbers, so that hospitals' parts add up to what all rows together give, bit for bit.

A count is a whole number. A real number is one of units of 2**-128 below 2**127: every double from 2**-75 on is a
whole number of such units, and a smaller one is cut. Whatever adds such numbers up, in whatever order and however
rows are divided among hospitals, gives the same sum to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.asking.noise_law import NoiseLaw
from common.errors import HospitalError, WireError

FRACTION_BITS = 128
COUNT_BITS, REAL_BITS = 64, 256
"""Of one number on its way, its sign among them."""
DIGIT_BITS = 32
LARGEST_REAL = 2.0**120
"""Of what one row adds, so that 64 rows and more have room."""

Integers = NDArray[np.object_]
"""Python's whole numbers, of any size."""
Exact = NDArray[np.object_]
"""Fractions."""


@dataclass(frozen=True)
class Part:
    """One array of a sum. kind: whole numbers, or real ones.

    most_by_one: by how much one row can change it at most, all its entries' changes added up; None: without bound,
    and then no noise makes it private. most_by_first: the same of a person's only row, where that is less.
    """

    shape: tuple[int, ...]
    kind: Literal["counts", "reals"]
    most_by_one: float | None = None
    most_by_first: float | None = None

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Of one number."""
        return COUNT_BITS if self.kind == "counts" else REAL_BITS

    @property
    def units(self) -> int:
        """Units in one."""
        return 1 if self.kind == "counts" else 1 << FRACTION_BITS


def counts(*shape: int, most_by_one: float | None = 1.0, most_by_first: float | None = None) -> Part:
    """Whole numbers; a row is counted once, unless it is said otherwise."""
    return Part(shape, "counts", most_by_one, most_by_first)


def reals(*shape: int, most_by_one: float | None = None) -> Part:
    """Real numbers."""
    return Part(shape, "reals", most_by_one)


@dataclass(frozen=True)
class Total:
    """What came of adding up: by name, whole numbers of units in the shape of their part.

    noise: of every part that has some; an interval allows for it.
    """

    parts: Mapping[str, Part]
    integers: Mapping[str, Integers]
    noise: Mapping[str, NoiseLaw] = field(default_factory=dict)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Doubles nearest to the exact sums."""
        return self.exact(name).astype(np.float64)

    def exact(self, name: str) -> Exact:
        """Fractions, for what a difference of two large sums would lose."""
        units = self.parts[name].units
        values = [Fraction(value, units) for value in self.integers[name].ravel().tolist()]
        return object_array(values, self.parts[name].shape)

    def noise_variance(self, name: str) -> float:
        """Of one entry; 0 where the sum is exact."""
        return self.noise[name].variance if name in self.noise else 0.0

    def noise_margin(self, name: str, level: float = 0.95) -> float:
        """How far an entry may be off, with this chance; 0 where the sum is exact."""
        return self.noise[name].margin(level) if name in self.noise else 0.0

    def count(self, name: str) -> NDArray[np.int64]:
        """Whole numbers."""
        if self.parts[name].kind != "counts":
            raise ValueError(f"part {name!r} holds real numbers.")
        return self.integers[name].astype(np.int64)


def exact_sum(rows: NDArray[np.float64]) -> Integers:
    """(N, ...) doubles to their sum over the first axis in units of 2**-128, exactly.

    Raises HospitalError where one is not finite, or beyond 2**120.
    """
    return _summed_digits(rows, lambda digits: digits.sum(axis=0))


def exact_sums_by(groups: NDArray[np.integer], rows: NDArray[np.float64], size: int) -> Integers:
    """`exact_sum` of the rows of each group 0 to size - 1, (size, ...); the rows of another group are left out.

    groups: (N,). Raises HospitalError as `exact_sum`.
    """
    inside = np.flatnonzero((groups >= 0) & (groups < size))
    order = inside[np.argsort(groups[inside], kind="stable")]
    there, first = np.unique(groups[order], return_index=True)

    def summed(digits: NDArray[np.int64]) -> NDArray[np.int64]:
        sums = np.zeros((size, *digits.shape[1:]), dtype=np.int64)
        if len(there):
            sums[there] = np.add.reduceat(digits, first, axis=0)
        return sums

    return _summed_digits(np.asarray(rows)[order], summed)


def _summed_digits(rows: NDArray[np.float64], summed: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Integers:
    """What `summed` makes of rows of digits, put together again; it must be linear."""
    values = np.array(rows, dtype=np.float64)
    if not np.all(np.abs(values) <= LARGEST_REAL):
        raise HospitalError("a number of a sum is not finite, or too large to be added up.")
    shape = np.shape(summed(np.zeros(values.shape, dtype=np.int64)))
    total = [0] * prod(shape)
    largest = float(np.max(np.abs(values), initial=0.0))
    # From the highest digit down: each is a whole number of its place, and what is left is exact as well.
    for place in range(REAL_BITS // DIGIT_BITS - 1, -1, -1):
        scale = 2.0 ** (DIGIT_BITS * place - FRACTION_BITS)
        if scale > largest:
            continue
        digits = np.trunc(values / scale)
        values -= digits * scale
        sums = np.asarray(summed(digits.astype(np.int64))).ravel().tolist()
        total = [before + (more << DIGIT_BITS * place) for before, more in zip(total, sums, strict=True)]
        if not values.any():
            break
    return object_array(total, shape)


def exact_products(left: NDArray[np.float64], right: NDArray[np.float64]) -> Integers:
    """The sum over the first axis of the products of two (N, ...) arrays of one shape, without rounding.

    A product is two doubles, its rounded value and what rounding took (Dekker 1971, "TwoProduct"); what of it lies
    below 2**-128 is cut. Raises HospitalError as `exact_sum`.
    """
    product = np.asarray(left * right)
    (left_high, left_low), (right_high, right_low) = _halves(left), _halves(right)
    lost = left_low * right_low - ((product - left_high * right_high) - left_low * right_high - left_high * right_low)
    return added_integers(exact_sum(product), exact_sum(lost))


def added_integers(left: Integers, right: Integers) -> Integers:
    """Of one shape; NumPy's own sum of two arrays without an axis is no array."""
    return object_array(
        [a + b for a, b in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)], left.shape
    )


def _halves(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each as the sum of two of 26 bits (Veltkamp)."""
    shifted = values * (2.0**27 + 1)
    high = shifted - (shifted - values)
    return high, values - high


def checked(parts: Mapping[str, Part], sums: Mapping[str, NDArray[np.generic] | Integers]) -> dict[str, Integers]:
    """A hospital's sums as whole numbers of units, all of them in their shape and range.

    Arrays of NumPy's whole numbers are counts; those of Python's, as `exact_sum` gives them, are units already.
    Raises ValueError where an analysis gives something else: that is a fault of its own.
    """
    if set(parts) != set(sums):
        raise ValueError(f"an analysis asked for {sorted(parts)} and gave {sorted(sums)}.")
    found = {}
    for name, part in parts.items():
        values = np.asarray(sums[name])
        if values.shape != part.shape or values.dtype.kind not in "iuO":
            raise ValueError(f"part {name!r} is {values.dtype} of shape {values.shape}; it must be {part}.")
        integers = object_array(values, part.shape)
        demand_room(name, part, integers)
        found[name] = integers
    return found


def demand_room(name: str, part: Part, integers: Integers) -> None:
    """Raise WireError where a number is beyond what the sum can hold."""
    limit = 1 << (part.bits - 1)
    if any(not -limit <= value < limit for value in integers.ravel().tolist()):
        raise WireError(f"part {name!r} has a number beyond the range of a sum.")


def added(parts: Mapping[str, Part], sums: Iterable[Mapping[str, Integers]]) -> Total:
    """The sum of hospitals' sums."""
    total = {name: object_array([0] * part.size, part.shape) for name, part in parts.items()}
    for one in sums:
        total = {name: added_integers(values, one[name]) for name, values in total.items()}
    return Total(parts, total)


def object_array(values: Iterable[object], shape: tuple[int, ...]) -> NDArray[np.object_]:
    """Python's own numbers in an array: NumPy would make doubles or 64 bits of some."""
    flat = np.asarray(values, dtype=object).ravel()
    array = np.empty(flat.size, dtype=object)
    array[:] = [int(value) if isinstance(value, np.integer | int) else value for value in flat.tolist()]
    return array.reshape(shape)
