"""Whole batches out of the gradient of a first linear layer with ReLU, one certified case after the other.

Of answers z = W x + b the gradient is [dL/dW | dL/db] = sum_n d_n [x_n | 1], d_n being the gradient of case n by z,
so its rank is at most the number of cases, and d_n is 0 where ReLU is shut for case n (Dimitrov et al. 2024, SPEAR,
theorems 3.1 and 3.3). SPEAR samples rows until some lie in a hyperplane; a wide layer gives more: the row of a unit
that is open for one case alone shows that case (Phong et al. 2017), and what else that case adds to the gradient then
follows from the network itself. Taken away, it leaves a gradient of one case fewer, in which further units are open
for one case alone. Of two classes and one hidden layer, two units that differ by one case show it as well.

A candidate is believed by its own certificate, which needs no truth: with one of the labels the network itself must
give back the bias' gradient it was read from, to the rounding of the numbers (a mixture of cases misses it by a
hundredth or more), and its d must lie in the column space of the gradient. All is certified where nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from experiments.attacks.inversion.first_layer import Reals, Stage, deltas_of
from experiments.evidence.budget import Budget

GAP, EVEN = 8.0, 4
"""A fall from one singular value to the next behind which all is noise, if it is so many values or more."""
ROUNDING = 2.0**-24
CLOSEST, LOOSEST, LOOSEST_PATH, RETRACED = 1e-5, 3e-3, 0.2, 5
"""Relative error of a bias' gradient within which a candidate is believed: without noise, and with the most."""
DEVIATIONS, SHARPENED, VOTES, FAINT, MOST_VALUES = 6.0, 3, 3, 0.02, 1 << 23
LOUD, OUTSIDE = 18.0, 0.02
SHORTEST, LENGTHS, HALVINGS = 0.05, 32, 50
"""Lengths of a case that are tried where no bias tells it."""
NOTHING_LEFT = 1e-4
"""Share of the gradient's norm up to which it counts as reproduced, where rounding is all the noise."""
SAME = 1e-2
"""Relative distance below which two candidates are one case."""


Units = NDArray[np.int64]


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
class Case:
    """x: (columns of rows,), with a bias the last is 1. delta: (units,) its weighted d. error: of the certificate, relative."""

    x: Reals
    delta: Reals
    label: int
    way: int
    error: float


@dataclass(frozen=True)
class Peeled:
    """rank: of the gradient. full: whether it has no less than its size allows. left: share of the norm not
    explained. spanned: by case, whether its d lies in a column space that is no full one."""

    cases: tuple[Case, ...]
    rank: int
    full: bool
    left: float
    spanned: tuple[bool, ...] = field(default=())
    whole: bool = False

    @property
    def certified(self) -> tuple[Case, ...]:
        """All where nothing is left, else those that the column space vouches for."""
        if self.whole:
            return self.cases
        return tuple(case for case, good in zip(self.cases, self.spanned, strict=True) if good)


@dataclass(frozen=True)
class Spectrum:
    """Of a gradient: its rank, whether it is full, an orthonormal basis of its columns, the noise of a value."""

    rank: int
    full: bool
    basis: Reals
    noise: float


def spectrum(rows: Reals, noise: float) -> Spectrum:
    """Singular values below what rounding makes are noise; and so are those behind a fall of `GAP`, if they are even."""
    basis, values, _ = np.linalg.svd(rows, full_matrices=False)
    size = min(int(np.any(rows, 1).sum()), int(np.any(rows, 0).sum()))
    spread = np.sqrt(rows.shape[0]) + np.sqrt(rows.shape[1])
    rank = int((values[:size] > max(values[0] * 4 * ROUNDING, noise * spread)).sum())
    falls = np.flatnonzero(values[: size - 1] > GAP * values[1:size])
    if rank == size and len(falls) and falls[-1] < size - EVEN:
        rank = int(falls[-1]) + 1
    tail = float(values[rank] / spread) if rank < size else 0.0
    least = ROUNDING * float(np.abs(rows).max())
    return Spectrum(rank, rank >= size, basis[:, :rank], max(tail, noise, least))


def peel(sighting: Sighting, budget: Budget, most: int = 256) -> Peeled:
    """Cases until nothing is left, nothing more is certain, or the time is over.

    First as if there were as many cases as the rank says, where that is a test of each; then, should something be
    left, as if there were more, which features that depend on each other would hide.
    """
    seen = spectrum(sighting.rows, sighting.noise)
    peeled = _peeled(sighting, seen, not seen.full, budget, most)
    if peeled.whole or seen.full:
        return peeled
    again = _peeled(sighting, seen, False, budget, most)
    return again if again.whole else peeled


def _peeled(sighting: Sighting, seen: Spectrum, in_span: bool, budget: Budget, most: int) -> Peeled:
    found: list[Case] = []
    left = sighting.rows.copy()
    while len(found) < most and budget.left > 0:
        new = _certain(sighting, _single(sighting, left, seen.noise, in_span), seen, in_span)
        if not new and sighting.head is not None and sighting.biased:
            new = _vouched(sighting, left, seen, in_span)
        known = _same if sighting.biased else _along
        new = [case for case in new if not any(known(case.x, other.x) for other in found)]
        if not new:
            break
        found += new[: most - len(found)]
        left = sighting.rows - _explained(found)
    return _judged(sighting, _sharpened(sighting, found), seen)


def retraced(sighting: Sighting, peeled: Peeled, walk: Callable[[Sequence[Case]], tuple[Way, ...]] | None) -> Peeled:
    """The cases again, along the way that training on them goes: only what it reproduces is certified."""
    seen = spectrum(sighting.rows, sighting.noise)
    found = list(peeled.cases)
    for _ in range(RETRACED if walk else 0):
        assert walk is not None
        exact = replace(sighting, ways=walk(found), slack=0.0)
        found = _sharpened(exact, [_at(exact, replace(case, way=0), case.x) for case in found], LOOSEST_PATH)
    return replace(_judged(replace(sighting, slack=0.0), found, seen), spanned=(False,) * len(found))


def _sharpened(sighting: Sighting, found: list[Case], most_left: float = LOOSEST) -> list[Case]:
    """The cases once more, by least squares over all units at their d, where these explain all but rounding."""
    for _ in range(SHARPENED):
        norm = float(np.linalg.norm(sighting.rows))
        if not found or len(found) > len(sighting.rows) or _unexplained(sighting, found) > most_left * norm:
            return found
        deltas = np.stack([case.delta for case in found])
        x = np.linalg.lstsq(deltas.T, sighting.rows, rcond=None)[0]
        if sighting.biased:
            x[:, -1] = 1.0
        better = [_at(sighting, case, row) for case, row in zip(found, x, strict=True)]
        if not _unexplained(sighting, better) < _unexplained(sighting, found):
            return found
        found = better
    return found


def _at(sighting: Sighting, case: Case, x: Reals) -> Case:
    return replace(case, x=x, delta=sighting.deltas(case.way, x[None])[0, case.label])


def _unexplained(sighting: Sighting, found: Sequence[Case]) -> float:
    return float(np.linalg.norm(sighting.rows - _explained(found)))


def _explained(found: Sequence[Case]) -> Reals:
    return np.asarray(np.stack([case.delta for case in found]).T @ np.stack([case.x for case in found]))


def _judged(sighting: Sighting, found: list[Case], seen: Spectrum) -> Peeled:
    norm = float(np.linalg.norm(sighting.rows))
    rest = sighting.rows - _explained(found) if found else sighting.rows
    left = float(np.linalg.norm(rest)) / norm if norm else 0.0
    rounding = 3 * seen.noise * np.sqrt(sighting.rows.size) / norm if norm else 0.0
    whole = bool(found) and left <= min(max(NOTHING_LEFT, rounding), LOOSEST)
    spanned = tuple(not seen.full and len(found) <= seen.rank and _fits(case, seen, sighting.slack) for case in found)
    return Peeled(tuple(found), seen.rank, seen.full, left, spanned, whole)


def _outside(delta: Reals, seen: Spectrum) -> float:
    """Share of it that is not in the gradient's column space."""
    return float(np.linalg.norm(delta - seen.basis @ (seen.basis.T @ delta)) / max(np.linalg.norm(delta), 1e-300))


@dataclass(frozen=True)
class Candidates:
    """x: (N, columns). value: (N,) the component of its d at the unit `at`, as the gradient shows it; noise: of it,
    relative. shut: (N,) units that are shut for it; where there are none to name, None."""

    x: Reals
    value: Reals
    noise: Reals
    at: Units
    shut: Units | None = None


def _single(sighting: Sighting, left: Reals, noise: float, in_span: bool) -> Candidates:
    """Every row, as if its unit were open for one case alone."""
    if not sighting.biased:
        return scaled_to_fit(sighting, left, noise, in_span)
    value, largest = left[:, -1], np.abs(left[:, :-1]).max(1, initial=0)
    at = np.flatnonzero((np.abs(value) > LOUD * noise) & (largest <= sighting.largest * np.abs(value)))
    return Candidates(left[at] / value[at, None], value[at], noise / np.abs(value[at]), at)


def _certain(sighting: Sighting, candidates: Candidates, seen: Spectrum, in_span: bool) -> list[Case]:
    """Candidates whose row is what the network itself makes of them, each case once, the surest first."""
    return _different(_passing(sighting, candidates, seen, in_span), _same if sighting.biased else _along)


def _passing(sighting: Sighting, candidates: Candidates, seen: Spectrum, in_span: bool) -> list[Case]:
    if not len(candidates.at):
        return []
    everyone, value = np.arange(len(candidates.at)), candidates.value[:, None]
    allowed = sighting.slack + np.minimum(CLOSEST + DEVIATIONS * candidates.noise, LOOSEST)
    passing: list[Case] = []
    for way in range(len(sighting.ways)):
        deltas = sighting.deltas(way, candidates.x)
        error = np.abs(deltas[everyone, :, candidates.at] - value) / np.abs(value)
        good = error <= allowed[:, None]
        if candidates.shut is not None:
            good &= deltas[everyone, :, candidates.shut] == 0
        passing += [
            Case(candidates.x[row], deltas[row, label], int(label), way, float(error[row, label]))
            for row, label in zip(*np.nonzero(good), strict=True)
        ]
    passing.sort(key=lambda case: case.error)
    return [case for case in passing if not in_span or _fits(case, seen, sighting.slack)]


def _fits(case: Case, seen: Spectrum, slack: float) -> bool:
    return _outside(case.delta, seen) <= max(OUTSIDE, 5 * slack)


def _different(cases: Sequence[Case], same: Callable[[Reals, Reals], bool]) -> list[Case]:
    chosen: list[Case] = []
    for case in cases:
        if not any(same(case.x, other.x) for other in chosen):
            chosen.append(case)
    return chosen


def _along(one: Reals, other: Reals) -> bool:
    return _same(one / np.linalg.norm(one), other / np.linalg.norm(other))


def _same(one: Reals, other: Reals) -> bool:
    return bool(np.linalg.norm(one - other) <= SAME * np.linalg.norm(other))


def _vouched(sighting: Sighting, left: Reals, seen: Spectrum, in_span: bool) -> list[Case]:
    """Cases by which two units differ; where the span is no test, the one that most pairs of units differ by."""
    assert sighting.head is not None
    passing = _passing(sighting, _differing(left, sighting.head, seen.noise, sighting.largest), seen, in_span)
    different = _different(passing, _same)
    if in_span:
        return different
    votes = [sum(_same(case.x, other.x) and case.label == other.label for other in passing) for case in different]
    return [different[int(np.argmax(votes))]] if votes and max(votes) >= VOTES else []


def _differing(left: Reals, head: Reals, noise: float, largest: float) -> Candidates:
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


def _fits(case: Case, seen: Spectrum, slack: float) -> bool:
    return _outside(case.delta, seen) <= max(0.02, 5 * slack)


def _different(cases: Sequence[Case], same: Callable[[Reals, Reals], bool]) -> list[Case]:
    chosen: list[Case] = []
    for case in cases:
        if not any(same(case.x, other.x) for other in chosen):
            chosen.append(case)
    return chosen


def _along(one: Reals, other: Reals) -> bool:
    return _same(one / np.linalg.norm(one), other / np.linalg.norm(other))


def _same(one: Reals, other: Reals) -> bool:
    return bool(np.linalg.norm(one - other) <= SAME * np.linalg.norm(other))
