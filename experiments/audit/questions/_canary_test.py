"""Are more guesses right than the claimed trade-off function allows? A test of the coins, which reads no setting.

*What is tested.* That each canary's coin is hidden as the claim says (whatever is released of it is a function of one
draw that keeps the trade-off function f, and chance), and that what is released of one canary is drawn apart from
what is released of others. Noise drawn anew for every coordinate and step, and units sampled on their own, as DP-SGD
claims to, make it so.

*How many right guesses there are at most.* Say the draw is the one that keeps f exactly, with the likelihood ratio at
hand: whatever else is released is a function of it and chance (Blackwell 1953; Dong, Roth and Su 2022, theorem 2.10).
Given all draws, the coins are independent, each "there" with a chance that rises with its likelihood ratio. Exchange
two canaries' places among the guesses: with the surer one in the better place the number of right guesses is the
larger in distribution, for it changes only where just one of both was there. So no way of ranking gives more right
guesses, in distribution, than the ranking by likelihood ratios, and the test is against that one.

*Its distribution.* Of m independent draws the k highest lie above the (k + 1)th, and are independent given that: the
share of all draws that lie above has a Beta(k + 1, m - k) distribution, and of a share s at most `right_in(s)` were
there. So the number of right ones is binomial, its chance mixed over that Beta; for the k lowest likewise, of the
share 1 - s that is left with Beta(k + 1, m - 2 k - 1).

Nothing is estimated, and the scores enter by their order alone: what the noise was, or should have been, only decides
how well they are ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlog1py, xlogy
from scipy.stats import beta, binom

from experiments.audit.questions._guesses import Floats, Guessed
from experiments.audit.questions._trade_off import TradeOff

NODES = 48
"""Of the mean over where the highest and the lowest scores end; more change no digit that is shown."""
FAR = 12.0
"""Standard deviations beyond which a binomial's chances are not added up: below 1e-20."""


def chance(found: TradeOff, guessed: Guessed) -> float:
    """At most this is the chance of so many right guesses or more, if all is as claimed.

    Both ways, two canaries or more must be left without a guess.
    """
    canaries, each = guessed.canaries, guessed.guesses // (2 if guessed.both_ways else 1)
    places = (np.arange(NODES) + 0.5) / NODES
    above = beta.ppf(places, each + 1, canaries - each)
    right_in = found.presence.right_in(above)
    if not guessed.both_ways:
        return float(np.mean(binom.sf(guessed.correct - 1, each, right_in)))
    others = (np.arange(NODES) * (sqrt(5) - 1) / 2) % 1
    below = (1 - above) * beta.ppf(others.clip(0.5 / NODES, 1 - 0.5 / NODES), each + 1, canaries - 2 * each - 1)
    return float(np.mean(_either(guessed.correct, each, right_in, found.presence.right_out(below))))


def _either(correct: int, each: int, right_in: Floats, right_out: Floats) -> Floats:
    """(N,) chances that two binomials add up to `correct` or more. right_in, right_out: (N,) of one try."""
    (counts, first), (others, second) = _binomials(each, right_in), _binomials(each, right_out)
    at_least = np.cumsum(np.pad(second, ((0, 0), (0, 1)))[:, ::-1], axis=1)[:, ::-1]
    needed = (correct - counts - others[0]).clip(0, len(others))
    return np.asarray((first * at_least[:, needed]).sum(axis=1), np.float64)


def _binomials(tries: int, right: Floats) -> tuple[NDArray[np.int64], Floats]:
    """(K,) counts that are not out of the question for any of the chances, and (N, K) how likely each is."""
    middle, spread = tries * right, FAR * np.sqrt(tries * right * (1 - right)) + FAR
    least, most = max(0, int((middle - spread).min())), min(tries, int((middle + spread).max()))
    counts = np.arange(least, most + 1, dtype=np.int64)
    ways = gammaln(tries + 1) - gammaln(counts + 1) - gammaln(tries - counts + 1)
    chances = ways + xlogy(counts, right[:, None]) + xlog1py(tries - counts, -right[:, None])
    return counts, np.exp(chances)


def smallest_chance(found: TradeOff, made: Sequence[Guessed]) -> float:
    """Of several ways of guessing at once: the least chance, times their number (Bonferroni)."""
    return min(1.0, len(made) * min(chance(found, one) for one in made))
