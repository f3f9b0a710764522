"""Whose maps a sum is of, told from the maps of those who may be in it: by equations, and by similarity to the mean.

A sum of shares and one of their squares are as many equations as there are blocks, twice over. While a sum is of
fewer maps than that they all but say which: non-negative least squares finds the few that add up to it. Of a sum of
more, or one with noise, what is left is how far the mean lies towards a map (Homer et al. 2008, PLoS Genetics,
"Resolving individuals contributing trace amounts of DNA to highly complex mixtures", with the blocks' covariances).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.evidence.answered_maps import Summed

TINY, WEIGHT = 1e-9, 100.0
MOST_STEPS = 100
"""Of non-negative least squares, for every column."""
Values = NDArray[np.float64]


def whose(candidates: Values, others: Values, summed: Summed, is_exact: bool) -> Values:
    """(N,) the higher, the surer that a candidate's map is in the sum, of mean 0 and deviation 1.

    candidates: (N, blocks) shares of their maps. others: (M, blocks) of cases that are not in it.
    """
    few = is_exact and summed.cases < 2 * candidates.shape[1]
    found = _by_equations(candidates, others, summed) if few else _by_similarity(candidates, others, summed)
    return np.asarray((found - found.mean()) / max(float(found.std()), TINY), np.float64)


def _by_equations(candidates: Values, others: Values, summed: Summed) -> Values:
    """Others stand beside the candidates, for those in the sum who are not asked about. Their number is known."""
    from scipy.optimize import nnls

    pool = np.concatenate([candidates, others])
    rows = np.concatenate([pool, pool**2], axis=1)
    weights = 1 / np.maximum(rows.std(axis=0), TINY)
    wanted = np.concatenate([summed.shares, summed.squares]) * weights
    left = np.concatenate([rows * weights, np.full((len(pool), 1), WEIGHT)], axis=1)
    try:
        found, _ = nnls(left.T, np.append(wanted, WEIGHT * summed.cases), maxiter=MOST_STEPS * len(pool))
    except RuntimeError:
        return _by_similarity(candidates, others, summed)
    return np.asarray(found[: len(candidates)], np.float64)


def _by_similarity(candidates: Values, others: Values, summed: Summed) -> Values:
    """The likelihood ratio of a mean that a map is in, were maps normal."""
    stranger = others if len(others) > 1 else candidates
    mean = stranger.mean(axis=0)
    spread = np.atleast_2d(np.cov(stranger.T))
    shrunk = spread + np.eye(len(spread)) * max(float(np.trace(spread)) / len(spread) / 10, TINY)
    towards = np.linalg.solve(shrunk, summed.shares / max(summed.cases, 1) - mean)
    return np.asarray((candidates - mean) @ towards, np.float64)
