"""How well scores tell members from others: the ROC curve, its AUC and its left end, with confidence intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta, norm, rankdata

from experiments.audit.records import Curve, Interval

Floats = NDArray[np.float64]


def auc(members: Floats, others: Floats) -> float:
    """The chance that a member scores above another, ties counting one half (Hanley and McNeil 1982)."""
    ranks = rankdata(np.concatenate([members, others]))[: len(members)].sum()
    return float((ranks - len(members) * (len(members) + 1) / 2) / (len(members) * len(others)))


def auc_interval(members: Floats, others: Floats, confidence: float) -> Interval:
    """The AUC by DeLong, DeLong and Clarke-Pearson 1988, the interval symmetric in its log-odds.

    Where their variance is zero or cannot be estimated it is that of Newcombe 2006 (method 5), which needs none.
    """
    value = auc(members, others)
    reach = float(norm.ppf((1 + confidence) / 2))
    variance = delong_variance(members, others) if min(len(members), len(others)) > 1 else 0.0
    if variance <= 0 or not 0 < value < 1:
        return _newcombe(value, len(members), len(others), reach)
    middle, spread = np.log(value / (1 - value)), reach * np.sqrt(variance) / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (middle - spread, middle + spread))
    return Interval(value, low, high)


def delong_variance(members: Floats, others: Floats) -> float:
    """Variance of the AUC, from how much each single case takes part in it. Needs two of both kinds."""
    both = np.concatenate([members, others])
    ranks = rankdata(both)
    of_member = (ranks[: len(members)] - rankdata(members)) / len(others)
    of_other = 1 - (ranks[len(members) :] - rankdata(others)) / len(members)
    return float(of_member.var(ddof=1) / len(members) + of_other.var(ddof=1) / len(others))


def _newcombe(value: float, members: int, others: int, reach: float) -> Interval:
    """AUCs whose own variance (Hanley and McNeil's, of exponential scores) puts `value` within reach."""
    more = (members + others) / 2 - 1

    def beyond(assumed: float) -> float:
        spread = 1 + more * (1 - assumed) / (2 - assumed) + more * assumed / (1 + assumed)
        return (assumed - value) ** 2 - reach**2 * assumed * (1 - assumed) * spread / (members * others)

    low = 0.0 if value == 0 else float(brentq(beyond, 0, value - 1e-12)) if beyond(0) > 0 else 0.0
    high = 1.0 if value == 1 else float(brentq(beyond, value + 1e-12, 1)) if beyond(1) > 0 else 1.0
    return Interval(value, low, high)


def rate_at(members: Floats, others: Floats, false_positive_rate: float, confidence: float) -> Interval | None:
    """The share of members above all but that share of the others, with the interval of Clopper and Pearson 1934.

    None with fewer than 1 / false_positive_rate others, who cannot show so small a rate. The interval takes the
    threshold as given.
    """
    allowed = int(np.floor(false_positive_rate * len(others) + 1e-9))
    return _found(members, others, allowed, confidence) if allowed else None


def rate_without_false_alarm(members: Floats, others: Floats, confidence: float) -> Interval:
    """The same above each of the others: among n of them, one more would be a false alarm once in n + 1 by chance."""
    return _found(members, others, 0, confidence)


def _found(members: Floats, others: Floats, allowed: int, confidence: float) -> Interval:
    threshold = np.sort(others)[::-1][allowed] if allowed < len(others) else -np.inf
    hits, many = int((members > threshold).sum()), len(members)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, many - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, many - hits)) if hits < many else 1.0
    return Interval(hits / many, low, high)


def curve(members: Floats, others: Floats) -> Curve:
    """Its corners from (0, 0) to (1, 1); members and others that score alike make a slanted side."""
    scores = np.unique(np.concatenate([members, others]))[::-1]
    true = (members[None] >= scores[:, None]).mean(1)
    false = (others[None] >= scores[:, None]).mean(1)
    return Curve(((0.0, 0.0), *zip(false.tolist(), true.tolist(), strict=True)))
