"""STAPLE: the likely truth behind several raters, and how good each of them is (Warfield, Zou and Wells 2004)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from common.metrics.agreement import alike
from common.metrics.doors import as_number, as_whole
from common.metrics.maps import Labels

FIRST_PERFORMANCE = 0.99999
SMALLEST = 1e-300
LEAST_TOTAL = 1e-200
"""Of a product of probabilities: below it too little may be left of it."""
MOST_ITERATIONS = 1_000_000
MOST_SPREAD = 1 << 20
MOST_STEPS = 6
"""That an acceleration looks back over."""
RIDGE = 1e-12
LOG_ROUNDING = 1e-11
MOST_NUMBERS = 1 << 15
"""Columns times raters times labels: for so few, all raters' votes are looked up by themselves."""


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


@dataclass(frozen=True)
class Votes:
    """Different columns of votes, parted into those of the first half of the raters and of the second.

    A half has far fewer different columns than the whole, so that products over raters are mostly made of few rows.
    votes: (R, P). halves: where there are many columns. places: for each half, the (P,) rows that it has for these
    columns. sums: for each half, (its rows, P), how often a column of that row occurs; without halves (R L, P), how
    often a column with that vote occurs.
    """

    votes: NDArray[np.int64]
    sums: tuple[csr_array, ...] | NDArray[np.float64]
    halves: tuple[Votes, ...] = ()
    places: tuple[NDArray[np.int64], ...] = ()

    @classmethod
    def of(cls, votes: NDArray[np.int64], labels: int, counts: NDArray[np.int64]) -> Votes:
        """From (R, P) different columns and how often each occurs."""
        if len(votes) == 1 or votes.size * labels <= MOST_NUMBERS:
            given = votes[:, None] == np.arange(labels)[:, None]
            return cls(votes, given.reshape(-1, votes.shape[1]) * counts.astype(np.float64))
        found = [_patterns(half, labels)[:2] for half in np.split(votes, [len(votes) // 2])]
        columns = np.arange(votes.shape[1])
        sums = [
            csr_array((counts.astype(np.float64), (where, columns)), shape=(patterns.shape[1], len(columns)))
            for patterns, where in found
        ]
        halves = tuple(cls.of(patterns, labels, np.ones(patterns.shape[1], np.int64)) for patterns, _ in found)
        return cls(votes, tuple(sums), halves, tuple(where for _, where in found))

    def likelihood(self, performance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, L) the product over raters of (R, L, L) the probability of their votes, for each true label."""
        if not self.halves:
            rows = np.ascontiguousarray(performance.swapaxes(1, 2))
            return reduce(np.multiply, (row.take(own, axis=0) for row, own in zip(rows, self.votes, strict=True)))
        parts = np.split(performance, [len(self.votes) // 2])
        first, second = (
            half.likelihood(part).take(places, axis=0)
            for half, part, places in zip(self.halves, parts, self.places, strict=True)
        )
        first *= second
        return first

    def given(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(R, L, L) the sums of (P, L) weights by rater, true label and vote."""
        if isinstance(self.sums, tuple):
            parts = [half.given(sums @ weights) for half, sums in zip(self.halves, self.sums, strict=True)]
            return np.concatenate(parts)
        labels = weights.shape[1]
        return (self.sums @ weights).reshape(-1, labels, labels).swapaxes(1, 2)


@dataclass(frozen=True)
class _Guess:
    """performance: (R, L, L). weights: (P, L), the probability of each label of a column of votes.

    log_likelihood: of all votes; minus infinite where it is too small to be told.
    """

    performance: NDArray[np.float64]
    weights: NDArray[np.float64]
    log_likelihood: float


def staple(raters: Sequence[Labels], tolerance: float = 1e-7, most_iterations: int = 500) -> Staple:
    """Expectation maximisation over voxels, labels global prior (equations 14, 18 and 19; multi-label section II-D).

    The prior of a label is its mean share over raters. Voxels where all raters voted alike are counted together, so
    that cost grows with patterns of votes, not with voxels.

    Args:
        raters: R >= 2 maps of whole numbers of one shape.
        tolerance: change of the raters' performance at which it has converged.
        most_iterations: after which it ends in any case.

    Raises:
        ImageError: for fewer than two raters, two shapes, and numbers that cannot be.
    """
    raters = alike(raters)
    tolerance = as_number(tolerance, "tolerance", 0.0, 1.0)
    most_iterations = as_whole(most_iterations, "most_iterations", 1, MOST_ITERATIONS)
    labels, codes = _codes(np.stack([rater.reshape(-1) for rater in raters]))
    patterns, where, counts = _patterns(codes, len(labels))
    prior = np.bincount(codes.reshape(-1), minlength=len(labels)) / codes.size
    off = (1 - FIRST_PERFORMANCE) / max(len(labels) - 1, 1)
    performance = np.full((len(raters), len(labels), len(labels)), off)
    performance[:, range(len(labels)), range(len(labels))] = FIRST_PERFORMANCE
    votes = Votes.of(patterns, len(labels), counts)
    found, converged, iterations = _maximum(votes, counts, prior, performance, tolerance, most_iterations)
    probability = found.weights.T[:, where].reshape(len(labels), *raters[0].shape)
    return Staple(labels.astype(np.int64), probability, found.performance, iterations, converged)


def _maximum(
    votes: Votes,
    counts: NDArray[np.int64],
    prior: NDArray[np.float64],
    performance: NDArray[np.float64],
    tolerance: float,
    most_iterations: int,
) -> tuple[_Guess, bool, int]:
    """Steps of expectation maximisation until one changes no probability by the tolerance, and how many there were.

    The next begins where the last ones point to, if the votes are at least as likely there, else where the last one
    led (Henderson and Varadhan 2019): the maximum is the same, and far fewer steps lead to it.
    """
    here, trail = _expected(votes, counts, prior, performance), _Trail()
    for iteration in range(1, most_iterations + 1):
        after = _maximised(votes, counts, here.weights)
        trail.add(here.performance, after)
        there = _expected(votes, counts, prior, trail.ahead())
        likelier = there.log_likelihood >= here.log_likelihood * (1 + LOG_ROUNDING)
        if not likelier or _moved(here, there) < tolerance:
            there = _expected(votes, counts, prior, after)
            if _moved(here, there) < tolerance:
                return there, True, iteration
        if not likelier:
            trail.forget()
        here = there
    return here, False, most_iterations


def _moved(one: _Guess, other: _Guess) -> float:
    return float(np.abs(one.weights - other.weights).max())


@dataclass
class _Trail:
    """The last steps. before, after: (R, L, L) each, performance that each began from and led to."""

    before: list[NDArray[np.float64]] = field(default_factory=list)
    after: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> None:
        """One more; the oldest is left out."""
        self.before = [*self.before[-MOST_STEPS:], before]
        self.after = [*self.after[-MOST_STEPS:], after]

    def forget(self) -> None:
        """All but the last."""
        self.before, self.after = self.before[-1:], self.after[-1:]

    def ahead(self) -> NDArray[np.float64]:
        """(R, L, L) where a step would lead nowhere else, were steps linear (Walker and Ni 2011, equation 2.3).

        What is no probability there is that of the last step; rows sum to 1.
        """
        last = self.after[-1]
        if len(self.after) == 1:
            return last
        ends = np.stack(self.after).reshape(len(self.after), -1)
        steps = ends - np.stack(self.before).reshape(ends.shape)
        turns = np.diff(steps, axis=0)
        products = turns @ turns.T
        ridge = max(SMALLEST, RIDGE * float(np.trace(products)))
        shares = np.linalg.solve(products + ridge * np.eye(len(turns)), turns @ steps[-1])
        far = last - (shares @ np.diff(ends, axis=0)).reshape(last.shape)
        kept = np.where(far > 0, far, last)
        return np.asarray(kept / np.maximum(kept.sum(axis=2, keepdims=True), SMALLEST))


def _codes(values: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The labels that occur, and the place of every value among them. Where they lie close nothing is sorted."""
    low, high = int(values.min()), int(values.max())
    if high - low >= MOST_SPREAD:
        labels, codes = np.unique(values, return_inverse=True)
        return labels.astype(np.int64), codes.reshape(values.shape)
    above = values.astype(np.int64) - low
    occurs = np.bincount(above.reshape(-1), minlength=high - low + 1) > 0
    return np.flatnonzero(occurs) + low, (np.cumsum(occurs) - 1)[above]


def _patterns(codes: NDArray[np.int64], labels: int) -> tuple[NDArray[np.int64], ...]:
    """(R, P) different columns of votes, the pattern of every voxel, and how often each pattern occurs."""
    if labels ** len(codes) >= 1 << 62:
        patterns, where, counts = np.unique(codes, axis=1, return_inverse=True, return_counts=True)
        return patterns, where.reshape(-1), counts
    powers = labels ** np.arange(len(codes), dtype=np.int64)
    numbers, where, counts = np.unique(powers @ codes, return_inverse=True, return_counts=True)
    return numbers // powers[:, None] % labels, where.reshape(-1), counts


def _expected(
    votes: Votes, counts: NDArray[np.int64], prior: NDArray[np.float64], performance: NDArray[np.float64]
) -> _Guess:
    """The probability of each label, given the votes (equation 14), and how likely these are."""
    factors = np.maximum(performance, SMALLEST)
    factors[0] *= prior[:, None]
    joint = votes.likelihood(factors)
    total = joint @ np.ones(len(prior))
    lost = np.flatnonzero(total < LEAST_TOTAL)
    log_likelihood = -math.inf if len(lost) else float(counts @ np.log(total))
    if len(lost):
        joint[lost] = _by_logarithms(votes.votes[:, lost], prior, performance)
        total[lost] = joint[lost].sum(axis=1)
    joint /= total[:, None]
    return _Guess(performance, joint, log_likelihood)


def _by_logarithms(
    votes: NDArray[np.int64], prior: NDArray[np.float64], performance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(patterns, L) the same but for a factor, where products of many small numbers vanish."""
    logarithms = np.log(np.maximum(performance, SMALLEST))
    of_votes = sum(logarithms[rater][:, pattern] for rater, pattern in enumerate(votes))
    joint = (np.log(np.maximum(prior, SMALLEST))[:, None] + of_votes).T
    return np.asarray(np.exp(joint - joint.max(axis=1, keepdims=True)))


def _maximised(votes: Votes, counts: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, L, L) performance that makes the votes likeliest (equations 18 and 19)."""
    total = counts.astype(np.float64) @ weights
    return np.asarray(votes.given(weights) / np.maximum(total[None, :, None], SMALLEST))
