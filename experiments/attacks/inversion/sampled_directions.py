"""Sparse directions of a space, by SPEAR's sampling: units drawn until all of them are shut for one case.

As many units as the space has dimensions but one leave one direction that is 0 at all of them; where these happen to
be shut for one case alone it is 0 at about half of all units (Dimitrov et al. 2024, arXiv 2403.03945, section 4: the
submatrices of the low-rank factor and the sparsity filter). Once a direction is known, the units that are shut for
its case are a space of one dimension fewer, in which a draw succeeds about twice as often; what it leaves open, a
multiple of the known direction, is what most of the other units agree on.
"""

from __future__ import annotations

from math import exp, lgamma

import numpy as np

from experiments.attacks.inversion.first_layer import Reals
from experiments.attacks.inversion.sightings import Units

DRAWS, LEAST_HITS = 2000, 0.01
"""Draws a turn; and hits to be expected of a turn, below which it is not worth its tenth of a second."""
NOTHING, EXTRA = 1e-4, 6
"""Share of a direction's largest component that is none; zeros beyond those that any direction can have."""
AGREEING = 4


def sampled(basis: Reals, known: Reals, rng: np.random.Generator) -> Reals:
    """(n, rank) unit directions with more zeros than chance gives, of one turn. known: (k, rank) found before."""
    rank = basis.shape[1]
    if not len(known):
        return _drawn(basis, rng) if _hits(len(basis), rank) >= LEAST_HITS else known
    by = known[rng.integers(len(known))]
    shut = np.flatnonzero(zeros(basis, by[None])[0])
    whole, within = _hits(len(basis), rank), _hits(len(shut), rank - 1)
    if max(whole, within) < LEAST_HITS or rank < 3:
        return known[:0]
    if whole >= within:
        return _drawn(basis, rng)
    others = np.linalg.svd(by[None])[2][1:].T
    found = _drawn(basis[shut] @ others, rng) @ others.T
    return _sharp(basis, np.array([_completed(basis, one, by, shut) for one in found]).reshape(-1, rank))


def zeros(basis: Reals, directions: Reals) -> Reals:
    """(n, units) bool: where a direction is none."""
    size = np.abs(directions @ basis.T)
    return np.asarray(size <= NOTHING * size.max(1, keepdims=True))


def _hits(units: int, rank: int) -> float:
    """To be expected of a turn, if every case shuts half of the units."""
    half, drawn = units // 2, rank - 1
    if drawn < 1 or half < drawn:
        return 0.0
    chance = lgamma(half + 1) - lgamma(half - drawn + 1) - lgamma(units + 1) + lgamma(units - drawn + 1)
    return DRAWS * rank * exp(chance)


def _drawn(basis: Reals, rng: np.random.Generator) -> Reals:
    rank = basis.shape[1]
    sets: Units = rng.random((DRAWS, len(basis))).argpartition(rank - 2, axis=1)[:, : rank - 1]
    directions = _across(basis[sets])
    return _sharp(basis, directions[zeros(basis, directions).sum(1) >= rank + EXTRA])


def _across(rows: Reals) -> Reals:
    """(n, rank) what is at right angles to (n, rank - 1, rank) rows."""
    try:
        first = np.linalg.solve(rows[..., :-1], -rows[..., -1:])[..., 0]
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.svd(rows)[2][:, -1])
    found = np.concatenate([first, np.ones((len(rows), 1))], axis=1)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _sharp(basis: Reals, directions: Reals) -> Reals:
    """Each once more, by least squares over all its zeros; those that still have more than chance gives."""
    again = [np.linalg.svd(basis[none], full_matrices=True)[2][-1] for none in zeros(basis, directions)]
    found = np.array(again).reshape(-1, basis.shape[1])
    return np.asarray(found[zeros(basis, found).sum(1) >= basis.shape[1] + EXTRA])


def _completed(basis: Reals, direction: Reals, by: Reals, shut: Units) -> Reals:
    """With that multiple of `by` that makes it 0 at most of the units which are open for that."""
    rest = np.setdiff1d(np.arange(len(basis)), shut)
    factors = np.sort(-(basis[rest] @ direction) / (basis[rest] @ by))
    if len(factors) < AGREEING:
        return direction
    spread = factors[AGREEING - 1 :] - factors[: 1 - AGREEING]
    return np.asarray(direction + factors[int(spread.argmin()) + AGREEING // 2] * by)
