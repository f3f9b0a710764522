"""What units of a first layer show, read as if each had been open for one case alone: candidates, nothing certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.attacks.inversion.first_layer import Reals, Stage, deltas_of

Units = NDArray[np.int64]
DEVIATIONS, LOUD = 6.0, 18.0
"""Of noise: within which two values may be one, and above which a unit is heard."""
FAINT, MOST_VALUES = 0.02, 1 << 23
SHORTEST, LENGTHS, HALVINGS = 0.05, 32, 50
"""Lengths of a case that are tried where no bias tells it."""


@dataclass(frozen=True)
class Way:
    """How a case may have entered the gradient. weight: of its own gradient. stages: steps it was part of."""

    weight: float
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Sighting:
    """The gradient of a first layer. rows: (units, features + 1), the last column the bias', or (units, features)
    where it is not `biased`. noise: deviation of a value from exact arithmetic, as the sender's rounding makes it.
    slack: relative error of what `Way` predicts.
    head: (units,) what two classes' scores differ by a unit, where it is the last hidden one; None else.
    largest: no patient's value is beyond it.
    """

    rows: Reals
    ways: Sequence[Way]
    labels: int
    noise: float = 0.0
    slack: float = 0.0
    head: Reals | None = None
    largest: float = 10.0
    biased: bool = True

    def inputs(self, x: Reals) -> Reals:
        """(N, features) what the layer is shown of cases (N, columns of rows)."""
        return x[:, :-1] if self.biased else x

    def deltas(self, way: int, x: Reals) -> Reals:
        """(N, labels, units) what cases would add, had they come in this way."""
        how = self.ways[way]
        return how.weight * deltas_of(how.stages, self.inputs(x), self.labels)


@dataclass(frozen=True)
class Candidates:
    """x: (N, columns). value: (N,) the component of its d at the unit `at`, as the gradient shows it; noise: of it,
    relative. shut: (N,) units that are shut for it; where there are none to name, None."""

    x: Reals
    value: Reals
    noise: Reals
    at: Units
    shut: Units | None = None


def single(sighting: Sighting, left: Reals, noise: float, in_span: bool) -> Candidates:
    """Every row, as if its unit were open for one case alone."""
    if not sighting.biased:
        return scaled_to_fit(sighting, left, noise, in_span)
    value, largest = left[:, -1], np.abs(left[:, :-1]).max(1, initial=0)
    at = np.flatnonzero((np.abs(value) > LOUD * noise) & (largest <= sighting.largest * np.abs(value)))
    return Candidates(left[at] / value[at, None], value[at], noise / np.abs(value[at]), at)


def differing(left: Reals, head: Reals, noise: float, largest: float) -> Candidates:
    """What two units differ by: of two classes a row is its unit's head times a sum over the cases it is open for."""
    strong = np.flatnonzero(np.abs(head) > FAINT * np.abs(head).max())
    rows = left[strong] / head[strong, None]
    limit = int(np.sqrt(MOST_VALUES / rows.shape[1]))
    kept = _distinct(rows, DEVIATIONS * noise / np.abs(head[strong]))[:limit]
    rows, units = rows[kept], strong[kept]
    one, other = np.nonzero(~np.eye(len(rows), dtype=bool))
    apart, by = rows[one] - rows[other], head[units[one]]
    value, largest_of = apart[:, -1], np.abs(apart[:, :-1]).max(1, initial=0)
    good = (np.abs(value * by) > LOUD * noise) & (largest_of <= largest * np.abs(value))
    x, value, at, shut = apart[good] / value[good, None], (value * by)[good], units[one[good]], units[other[good]]
    return Candidates(x, value, noise * (1 + np.abs(head[at] / head[shut])) / np.abs(value), at, shut)


def scaled_to_fit(sighting: Sighting, left: Reals, noise: float, in_span: bool) -> Candidates:
    """Without a bias a row shows a case but for its length: the lengths at which the network gives back the row.

    That they exist is no certificate then; the column space is, and so nothing is tried where that is full.
    """
    lengths = np.linalg.norm(left, axis=1)
    at = np.flatnonzero(lengths > LOUD * noise * np.sqrt(left.shape[1])) if in_span else np.zeros(0, np.int64)
    grid = np.geomspace(SHORTEST, sighting.largest * np.sqrt(left.shape[1]), LENGTHS)
    parts = [
        _roots(sighting, way, left[units] / lengths[units, None], units, sign * grid, lengths[units])
        for units in (np.array_split(at, max(1, len(at) // 16)) if len(at) else ())
        for way in range(len(sighting.ways))
        for sign in (-1.0, 1.0)
    ]
    if not parts:
        return Candidates(left[:0], lengths[:0], lengths[:0], at)
    x, value, units = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.abs(x).max(1, initial=0) <= sighting.largest
    relative = noise * np.sqrt(left.shape[1]) / lengths[units]
    return Candidates(x[kept], value[kept], relative[kept], units[kept])


def _roots(
    sighting: Sighting, way: int, along: Reals, units: Units, grid: Reals, lengths: Reals
) -> tuple[Reals, Reals, Units]:
    """Where length * d(length * along) is the row's own length: by a change of sign on the grid, then bisection.

    Where there are several of one label, the gradient is the same for all of them; the shortest is the likeliest.
    """

    def beyond(rows: Units, labels: Units | None, size: Reals) -> Reals:
        deltas = sighting.deltas(way, along[rows] * size[:, None])
        chosen = deltas[np.arange(len(rows)), :, units[rows]]
        chosen = chosen if labels is None else chosen[np.arange(len(rows)), labels][:, None]
        return np.asarray(chosen * size[:, None] - lengths[rows, None])

    rows = np.repeat(np.arange(len(units)), len(grid))
    signs = beyond(rows, None, np.tile(grid, len(units))).reshape(len(units), len(grid), sighting.labels) > 0
    row, label, place = np.nonzero(np.moveaxis(signs[:, 1:] != signs[:, :-1], 1, 2))
    _, shortest = np.unique(row * sighting.labels + label, return_index=True)
    row, label, place = row[shortest], label[shortest], place[shortest]
    low, high, below = grid[place], grid[place + 1], signs[row, place, label]
    for _ in range(HALVINGS if len(row) else 0):
        middle = (low + high) / 2
        same = (beyond(row, label, middle)[:, 0] > 0) == below
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return along[row] * low[:, None], lengths[row] / low, units[row]


def _distinct(rows: Reals, within: Reals) -> list[int]:
    """Indices of rows that are no other row once more."""
    kept: list[int] = []
    for index, row in enumerate(rows):
        if not kept or np.abs(rows[kept] - row).max(1).min() > 2 * within[index]:
            kept.append(index)
    return kept
