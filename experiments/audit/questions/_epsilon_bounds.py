"""How much privacy was lost at least, from guesses who of many canaries was trained on: one run is enough.

Steinke, Nasr and Jagielski 2023, Privacy auditing with one (1) training run (NeurIPS). Of m canaries each is put into
the training set by a fair coin. From what was released an auditor guesses some of the coins and leaves the others.
Under (epsilon, delta) differential privacy few guesses can be right (their Theorem 5.2); more right ones refute it.
The test is theirs; an interval of Clopper and Pearson for the share of right guesses would treat delta as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

from common.study.checks import between, positive

TRIES = ((0.03, 0.5), (0.2, 0.1), (0.8, 0.4))
"""Shares of all canaries that are guessed, one try after the other, and the part of the allowed error that each may
use up: few sure guesses tell most where there is much noise, many where there is hardly any."""

LARGEST_EPSILON = 50.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """lower_bound: epsilon is at least this, with the confidence asked for, once corrected for all tries.

    guesses, correct: of the try that gave it. canaries, included: all, and those that were trained on. estimate: what
    epsilon would be were both kinds of scores Gaussian, with its interval: no certificate, since they need not be.
    """

    lower_bound: float
    correct: int
    guesses: int
    canaries: int
    included: int
    estimate: float
    estimate_low: float
    estimate_high: float


def measured_epsilon(
    scores: Floats,
    included: NDArray[np.bool_],
    delta: float,
    confidence: float = 0.95,
    tries: tuple[tuple[float, float], ...] = TRIES,
) -> Measured:
    """The best lower bound over `tries`, each at a confidence that makes all hold together (Bonferroni).

    scores: (m,), the higher the surer that the canary was trained on. included: (m,) the coins, independent and fair.
    Half of the guesses are the highest scores ("in"), half the lowest ("out"); between them nothing is guessed.
    """
    order = np.argsort(scores, kind="stable")
    best = (0.0, 0, 0)
    for share, part in tries:
        half = round(share * len(scores) / 2)
        if half:
            correct = int((~included[order[:half]]).sum() + included[order[-half:]].sum())
            bound = epsilon_lower_bound(correct, 2 * half, len(scores), delta, 1 - part * (1 - confidence))
            best = max(best, (bound, correct, 2 * half))
    estimates = gaussian_estimate(scores[included], scores[~included], delta, confidence)
    return Measured(*best, len(scores), int(included.sum()), *estimates)


def epsilon_lower_bound(correct: int, guesses: int, canaries: int, delta: float, confidence: float) -> float:
    """The smallest epsilon under which so many right guesses are not too surprising; 0 where none is refuted.

    Any smaller epsilon, with this delta, is refuted: the chance of it would have been below 1 - confidence.
    Raises StudyError unless 0 <= correct <= guesses <= canaries, 0 <= delta <= 1 and 0 < confidence < 1.
    """
    positive("canaries", canaries=canaries)
    between("guesses", 0, canaries, guesses=guesses)
    between("guesses", 0, guesses, correct=correct)
    between("audit", 0, 1, delta=delta, confidence=confidence)

    def spare(epsilon: float) -> float:
        return p_value(correct, guesses, canaries, epsilon, delta) - (1 - confidence)

    grid = np.linspace(0, LARGEST_EPSILON, 201)
    refuted = 0.0
    for epsilon in grid:
        if spare(float(epsilon)) >= 0:
            return float(brentq(spare, refuted, epsilon)) if epsilon > 0 else 0.0
        refuted = float(epsilon)
    return LARGEST_EPSILON


def p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """At most this is the chance of `correct` or more right guesses under (epsilon, delta)-DP, by Theorem 5.2.

    With W binomial of `guesses` tries, each right with chance e^epsilon / (1 + e^epsilon):
    P[W >= correct] + 2 canaries delta max over i of P[correct > W >= correct - i] / i.
    """
    if correct == 0:
        return 1.0
    right = 1 / (1 + exp(-epsilon))
    likely = float(binom.sf(correct - 1, guesses, right))
    if delta == 0:
        return likely
    just_below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, right))
    spill = float((just_below / np.arange(1, correct + 1)).max())
    return min(1.0, likely + 2 * canaries * delta * spill)


def gaussian_estimate(inside: Floats, outside: Floats, delta: float, confidence: float) -> tuple[float, float, float]:
    """Epsilon and its interval, were both kinds of scores Gaussian of one deviation, some deviations apart.

    The interval is that of the standardised difference of means in large samples (Hedges and Olkin 1985).
    """
    many, few = len(inside), len(outside)
    if min(many, few) < 2:
        return 0.0, 0.0, LARGEST_EPSILON
    squares = float(((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum())
    spread, apart = np.sqrt(squares / (many + few - 2)), float(inside.mean() - outside.mean())
    if spread <= 1e-12 * abs(apart):
        return (LARGEST_EPSILON,) * 3 if apart > 0 else (0.0, 0.0, 0.0)
    mu = apart / float(spread)
    error = float(norm.ppf((1 + confidence) / 2)) * np.sqrt(1 / many + 1 / few + mu**2 / (2 * (many + few)))
    low, middle, high = (gaussian_epsilon(value, delta) for value in (mu - error, mu, mu + error))
    return middle, low, high


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon at `delta` of telling N(0, 1) from N(mu, 1): Dong, Roth and Su 2022, Corollary 2.13; at most 50."""
    if mu <= 0:
        return 0.0

    def excess(epsilon: float) -> float:
        above = float(norm.cdf(-epsilon / mu + mu / 2))
        below = float(np.exp(epsilon + norm.logcdf(-epsilon / mu - mu / 2)))
        return above - below - delta

    if excess(0.0) <= 0:
        return 0.0
    return LARGEST_EPSILON if excess(LARGEST_EPSILON) > 0 else float(brentq(excess, 0.0, LARGEST_EPSILON))


def ceiling(canaries: int, confidence: float) -> float:
    """The most that so many canaries can certify, all guessed and all right, at delta 0: logit((1 - c)^(1 / m))."""
    rate = (1 - confidence) ** (1 / canaries)
    return log(rate / (1 - rate))
