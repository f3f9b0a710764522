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

from experiments.attacks.inversion.first_layer import Reals, deltas_of
from experiments.attacks.inversion.hyperplanes import spanning
from experiments.attacks.inversion.sightings import (
    DEVIATIONS,
    Candidates,
    Sighting,
    Units,
    Way,
    differing,
    single,
)
from experiments.evidence.budget import Budget

GAP, EVEN = 8.0, 4
"""A fall from one singular value to the next behind which all is noise, if it is so many values or more."""
ROUNDING = 2.0**-24
CLOSEST, LOOSEST = 1e-5, 3e-3
"""Relative error of a bias' gradient within which a candidate is believed: without noise, and with the most."""
OUTSIDE = 0.02
"""Share of a d that may lie outside the gradient's column space."""
SAME, NOTHING_LEFT = 1e-2, 1e-4
"""Relative distance below which two candidates are one case; share of the norm up to which all is explained."""
SHARPENED, RETRACED, LOOSEST_PATH = 3, 5, 0.2
VOTES, AGREE, ROUGHLY = 3, 10.0, 0.5
"""Units that have to show the same, within which multiple of the noise, and by which logarithm its size is off."""


@dataclass(frozen=True)
class Case:
    """x: (columns of rows,), with a bias the last is 1. delta: (units,) its weighted d. error: of the certificate."""

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
    """Singular values below what rounding makes are noise, and so are those behind a fall of `GAP`, if many."""
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
        new = _certain(sighting, single(sighting, left, seen.noise, in_span), seen, in_span)
        if not new and sighting.head is not None and sighting.biased:
            new = _vouched(sighting, left, seen, in_span)
        if not new and in_span and not sighting.slack:
            candidates = spanning(sighting, left, seen.rank - len(found), seen.noise, budget)
            new = _certain(sighting, candidates, seen, in_span)
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
    for _ in range(RETRACED if walk and found else 0):
        assert walk is not None
        exact = replace(sighting, ways=walk(found), slack=0.0)
        found = _sharpened(exact, [_at(exact, replace(case, way=0), case.x) for case in found], LOOSEST_PATH)
    return replace(_judged(replace(sighting, slack=0.0), found, seen), spanned=(False,) * len(found))


def agreeing(sighting: Sighting) -> Peeled:
    """Cases that several units show alike, where what a case adds is known but roughly, as after several steps.

    A unit's answers change from step to step in a way of its own, so units that are open for the same several cases
    show mixtures of them that differ by far more than rounding; and a mixture is too large for one case.
    """
    seen = spectrum(sighting.rows, sighting.noise)
    candidates = single(sighting, sighting.rows, seen.noise, True)
    left, found = list(np.argsort(candidates.noise)), list[Case]()
    while left and sighting.biased:
        first = left[0]
        apart = np.linalg.norm(candidates.x[left] - candidates.x[first], axis=1)
        within = AGREE * (candidates.noise[left] + candidates.noise[first]) * np.linalg.norm(candidates.x[first])
        same = [index for index, near in zip(left, apart <= within, strict=True) if near]
        left = [index for index in left if index not in same]
        if len(same) >= VOTES:
            found += _roughly(sighting, candidates, same)
    found = _different(found, _same)
    return replace(_judged(sighting, found, seen), spanned=(True,) * len(found), whole=False)


def _roughly(sighting: Sighting, candidates: Candidates, same: Sequence[int]) -> list[Case]:
    """The case that these units show, if it has the size that one case would have."""
    best: list[Case] = []
    units, value = candidates.at[same], candidates.value[same]
    for way in range(len(sighting.ways)):
        (deltas,) = sighting.deltas(way, candidates.x[same[:1]])
        for label, delta in enumerate(deltas):
            share = float(np.median(delta[units] / value))
            best.append(Case(candidates.x[same[0]], delta, label, way, abs(float(np.log(max(share, 1e-9))))))
    likely = min(best, key=lambda case: case.error)
    return [likely] if likely.error <= ROUGHLY * (0.01 + _drift(sighting, likely, units)) else []


def _drift(sighting: Sighting, case: Case, units: Units) -> float:
    """By how much what a case adds to these units changes from the first step to the last, relative."""
    ends = (sighting.ways[0].stages[0], sighting.ways[-1].stages[-1])
    first, last = (deltas_of((stage,), case.x[None, :-1], sighting.labels)[0, case.label][units] for stage in ends)
    return float(np.median(np.abs(first - last) / np.maximum(np.abs(first) + np.abs(last), 1e-300)))


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
    return float(
        np.linalg.norm(delta - seen.basis @ (seen.basis.T @ delta)) / max(float(np.linalg.norm(delta)), 1e-300)
    )


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
    passing = _passing(sighting, differing(left, sighting.head, seen.noise, sighting.largest), seen, in_span)
    different = _different(passing, _same)
    if in_span:
        return different
    votes = [sum(_same(case.x, other.x) and case.label == other.label for other in passing) for case in different]
    return [different[int(np.argmax(votes))]] if votes and max(votes) >= VOTES else []
