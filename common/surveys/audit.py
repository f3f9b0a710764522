"""Whether a survey keeps the epsilon that it claims, judged by the answers that it gave.

Where truth and answers are both at hand, as where persons are asked: an answer (of unary encoding, one bit 1 and
another 0) that is likelier for one truth than for another by more than e^epsilon betrays it. By Clopper and
Pearson's bounds, of all pairs of truths together.

Where only answers are: each is heard with a chance between q and p, so that two shares farther apart than e^epsilon
betray it as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from math import log

from common.surveys.randomisers import Heard, Randomiser

CONFIDENCE = 0.999
MOST_TRUTHS = 8
"""The commonest: pairs of rare ones could prove nothing."""


def least_epsilon(randomiser: Randomiser, truths: Sequence[str], heard: Sequence[Heard]) -> float:
    """What epsilon is at least, with CONFIDENCE; 0 where nothing is proven. truths, heard: of the same persons."""
    common = [answer for answer, _ in Counter(truths).most_common(MOST_TRUTHS)]
    pairs = list(permutations(common, 2))
    doubt = (1 - CONFIDENCE) / max(2 * len(pairs), 1)
    by_truth = {one: [said for truth, said in zip(truths, heard, strict=True) if truth == one] for one in common}
    found = 0.0
    for one, other in pairs:
        hits, false = (_hits(randomiser, by_truth[truth], one, other) for truth in (one, other))
        found = max(found, _log_ratio((hits, len(by_truth[one])), (false, len(by_truth[other])), doubt))
    return found


def least_epsilon_heard(randomiser: Randomiser, counts: Sequence[int], persons: int) -> float:
    """The same from counts alone, of one of k answers: the commonest against the rarest."""
    if not persons or randomiser.kind != "one-of-k":
        return 0.0
    doubt = (1 - CONFIDENCE) / (2 * len(counts))
    return max(0.0, _log_ratio((max(counts), persons), (min(counts), persons), doubt))


def _hits(randomiser: Randomiser, heard: Sequence[Heard], one: str, other: str) -> int:
    at, not_at = randomiser.answers.index(one), randomiser.answers.index(other)
    return sum(at in said and not_at not in said for said in heard)


def _log_ratio(above: tuple[int, int], below: tuple[int, int], doubt: float) -> float:
    """ln of the least that one chance is, over the most that another is: hits and trials of each."""
    from scipy.stats import beta

    (hits, trials), (false, others) = above, below
    if not hits or false >= others:
        return 0.0
    low = float(beta.ppf(doubt, hits, trials - hits + 1))
    high = float(beta.ppf(1 - doubt, false + 1, others - false))
    return log(low / high) if low > 0 else 0.0
