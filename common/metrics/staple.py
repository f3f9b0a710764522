"""STAPLE: the likely truth behind several raters, and how good each of them is (Warfield, Zou and Wells 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.metrics.agreement import alike
from common.metrics.doors import as_number, as_whole
from common.metrics.maps import Labels

FIRST_PERFORMANCE = 0.99999
SMALLEST = 1e-300
MOST_ITERATIONS = 1_000_000


@dataclass(frozen=True)
class Staple:
    """probability: (L, *S) of each label at each voxel. performance: (R, L, L), of each rater the probability of
    giving the label of the column where the truth is that of the row; for two labels its diagonal is specificity
    and sensitivity. labels: (L,). iterations: how many there were; converged: whether that was enough.
    """

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    performance: NDArray[np.float64]
    iterations: int
    converged: bool

    @property
    def truth(self) -> NDArray[np.int64]:
        """The likeliest label of every voxel; of equally likely ones the lowest."""
        return np.asarray(self.labels[self.probability.argmax(axis=0)])


def staple(raters: Sequence[Labels], tolerance: float = 1e-7, most_iterations: int = 500) -> Staple:
    """Expectation maximisation over voxels, labels global prior (equations 14, 18 and 19; multi-label section II-D).

    raters: R >= 2 maps of whole numbers of one shape. The prior of a label is its mean share over raters. Voxels
    where all raters voted alike are counted together, so that cost grows with patterns of votes, not with voxels.
    Raises ImageError for fewer than two raters, two shapes, and numbers that cannot be.
    """
    raters = alike(raters)
    tolerance = as_number(tolerance, "tolerance", 0.0, 1.0)
    most_iterations = as_whole(most_iterations, "most_iterations", 1, MOST_ITERATIONS)
    labels, codes = np.unique(np.stack([rater.reshape(-1) for rater in raters]), return_inverse=True)
    patterns, where, counts = _patterns(codes.reshape(len(raters), -1), len(labels))
    prior = np.bincount(codes.reshape(-1), minlength=len(labels)) / codes.size
    off = (1 - FIRST_PERFORMANCE) / max(len(labels) - 1, 1)
    performance = np.full((len(raters), len(labels), len(labels)), off)
    performance[:, range(len(labels)), range(len(labels))] = FIRST_PERFORMANCE
    converged, iteration = False, 0
    weights = _expected(patterns, prior, performance)
    while not converged and iteration < most_iterations:
        performance = _maximised(patterns, counts, weights)
        after = _expected(patterns, prior, performance)
        converged = bool(np.abs(after - weights).max() < tolerance)
        weights, iteration = after, iteration + 1
    probability = weights[:, where].reshape(len(labels), *raters[0].shape)
    return Staple(labels.astype(np.int64), probability, performance, iteration, converged)


def _patterns(codes: NDArray[np.int64], labels: int) -> tuple[NDArray[np.int64], ...]:
    """(R, P) different columns of votes, the pattern of every voxel, and how often each pattern occurs."""
    if labels ** len(codes) >= 1 << 62:
        patterns, where, counts = np.unique(codes, axis=1, return_inverse=True, return_counts=True)
        return patterns, where.reshape(-1), counts
    powers = labels ** np.arange(len(codes), dtype=np.int64)
    numbers, where, counts = np.unique(powers @ codes, return_inverse=True, return_counts=True)
    return numbers // powers[:, None] % labels, where.reshape(-1), counts


def _expected(
    patterns: NDArray[np.int64], prior: NDArray[np.float64], performance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(L, patterns) probability of each label, given the votes (equation 14), by logarithms."""
    logarithms = np.log(np.maximum(performance, SMALLEST))
    votes = sum(logarithms[rater][:, pattern] for rater, pattern in enumerate(patterns))
    joint = np.log(np.maximum(prior, SMALLEST))[:, None] + votes
    joint -= joint.max(axis=0)
    return np.asarray(np.exp(joint) / np.exp(joint).sum(axis=0))


def _maximised(
    patterns: NDArray[np.int64], counts: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R, L, L) performance that makes the votes likeliest (equations 18 and 19)."""
    labels = len(weights)
    weighted = weights * counts
    given = np.array([[weighted[:, pattern == label].sum(axis=1) for label in range(labels)] for pattern in patterns])
    given = given.swapaxes(1, 2)
    return np.asarray(given / np.maximum(weighted.sum(axis=1)[None, :, None], SMALLEST))
