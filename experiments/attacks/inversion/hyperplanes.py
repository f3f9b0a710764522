"""Cases told apart by the units that are shut for each, where no unit is open for one case alone.

The gradient's columns are spanned by the d of its cases, each 0 at every unit that is shut for it, so some direction
of that space is 0 at about half of all units: far more than chance would make (Dimitrov et al. 2024, SPEAR, theorem
3.3). SPEAR samples as many units as it takes to hit such a set; here the sparsest directions are found by iterated
reweighted least squares from random sets (Chartrand and Yin 2008), which takes hundreds of starts where sampling
takes 2^b; what that misses is sampled after all (`sampled_directions`). Of two classes and one hidden layer the
differences of two d are as sparse, but not of one value.
"""

from __future__ import annotations

import numpy as np

from experiments.attacks.inversion.first_layer import Reals
from experiments.attacks.inversion.sampled_directions import EXTRA, NOTHING, sampled, zeros
from experiments.attacks.inversion.sightings import Candidates, Sighting, Units, scaled_to_fit
from experiments.evidence.budget import Budget

STARTS, ROUNDS, MOST_ITERATIONS = 100, 4, 14
TURNS = 100
"""Of sampling, each of which takes some hundredths of a second."""
SOFTEST, HARDEST = 0.1, 1e-5
"""Below which share of a typical component one counts as nothing, at the first and at the last iteration."""
APART = 1e-3
"""Of a unit direction, what must lie outside those before it: less is a mixture of these and of rounding."""
FEWEST, MOST = 2, 40
"""Of cases."""


def spanning(sighting: Sighting, left: Reals, rank: int, noise: float, budget: Budget) -> Candidates:
    """One candidate for each of `rank` sparse directions that span the columns of what is left; none without them.

    Then d = basis q, and the cases are the rows of the inverse, times what spans the gradient's rows.
    """
    basis, values, along = np.linalg.svd(left, full_matrices=False)
    basis, values, along = basis[:, :rank], values[:rank], along[:rank]
    if not FEWEST <= rank <= MOST or values[-1] <= 0:
        return _none(left)
    heard = np.flatnonzero(np.linalg.norm(basis, axis=1) > 1e-6)
    if len(heard) < rank + EXTRA:
        return _none(left)
    found = np.zeros((0, rank))
    rng = np.random.default_rng(rank)
    for turn in range(ROUNDS + TURNS):
        new = _sparse(basis[heard], rng) if turn < ROUNDS else sampled(basis[heard], found, rng)
        found = _independent(basis[heard], np.concatenate([found, _of_one_value(sighting, basis, heard, new)]))
        if len(found) == rank or budget.left <= 0:
            break
    if len(found) < rank or np.linalg.cond(found) > 1e6:
        return _none(left)
    x, deltas = np.linalg.inv(found).T @ (values[:, None] * along), basis @ found.T
    if not sighting.biased:
        return _of_any_length(sighting, x, deltas, noise)
    return _candidates(sighting, x, deltas, noise)


def _of_any_length(sighting: Sighting, x: Reals, deltas: Reals, noise: float) -> Candidates:
    """Without a bias: each case's own part of its loudest unit's row, which shows it but for its length."""
    loudest = np.abs(deltas).argmax(0)
    found = []
    for case, unit in enumerate(loudest):
        row = np.zeros((len(deltas), x.shape[1]))
        row[unit] = deltas[unit, case] * x[case]
        found.append(scaled_to_fit(sighting, row, noise, True))
    columns = zip(*((one.x, one.value, one.noise, one.at) for one in found), strict=True)
    return Candidates(*(np.concatenate(column) for column in columns))


def _candidates(sighting: Sighting, x: Reals, deltas: Reals, noise: float) -> Candidates:
    """Of cases, each of any scale, and the d that goes with it: the last value of a case is 1."""
    length = x[:, -1].copy()
    good = np.abs(length) > 1e-9 * np.abs(x).max(1)
    good &= np.abs(x[:, :-1]).max(1, initial=0) <= sighting.largest * np.abs(length)
    x, deltas, length = x[good], deltas[:, good], length[good]
    at = np.abs(deltas).argmax(0).astype(np.int64)
    value = deltas[at, np.arange(len(x))] * length
    return Candidates(x / length[:, None], value, noise / np.abs(value) * np.sqrt(len(x)), at)


def _sparse(basis: Reals, rng: np.random.Generator) -> Reals:
    """(n, rank) unit directions with more zeros than any has, the sparsest first."""
    rank = basis.shape[1]
    sets: Units = rng.random((STARTS, len(basis))).argpartition(rank - 1, axis=1)[:, : rank - 1]
    direction = np.linalg.svd(basis[sets])[2][:, -1]
    for hardness in np.geomspace(SOFTEST, HARDEST, MOST_ITERATIONS):
        size = np.abs(direction @ basis.T)
        weight = 1 / (size**2 + (hardness * np.median(size, 1, keepdims=True) + 1e-12) ** 2)
        direction = np.linalg.eigh(np.einsum("mi,sm,mj->sij", basis, weight, basis, optimize=True))[1][:, :, 0]
    count = _zeros(basis, direction)
    kept = np.flatnonzero(count >= rank + EXTRA)
    return np.asarray(direction[kept[np.argsort(-count[kept], kind="stable")]])


def _zeros(basis: Reals, directions: Reals) -> Units:
    return np.asarray(zeros(basis, directions).sum(1))


def _of_one_value(sighting: Sighting, basis: Reals, heard: Units, directions: Reals) -> Reals:
    """Where the head is known a case pushes every unit that is open for it by the same share of its head."""
    if sighting.head is None:
        return directions
    pushed = (directions @ basis[heard].T) / sighting.head[heard]
    open_units = np.abs(directions @ basis[heard].T)
    heavy = open_units > NOTHING * open_units.max(1, keepdims=True)
    middle = np.array([np.median(row[mask]) for row, mask in zip(pushed, heavy, strict=True)])
    off = np.where(heavy, np.abs(pushed - middle[:, None]), 0).max(1, initial=0)
    return np.asarray(directions[off <= NOTHING * np.abs(middle)])


def _independent(basis: Reals, directions: Reals) -> Reals:
    """The sparsest that none of the others before them span."""
    directions = directions[np.argsort(-_zeros(basis, directions), kind="stable")]
    chosen: list[Reals] = []
    for one in directions:
        rest = one - (np.stack(chosen).T @ np.linalg.lstsq(np.stack(chosen).T, one, rcond=None)[0] if chosen else 0)
        if np.linalg.norm(rest) > APART:
            chosen.append(one)
    return np.stack(chosen) if chosen else directions[:0]


def _none(left: Reals) -> Candidates:
    return Candidates(left[:0], left[:0, 0], left[:0, 0], np.zeros(0, np.int64))
