"""How few right guesses a trade-off function allows, whatever else is true of a mechanism: one run is enough.

Mahloujifar, Melis and Chaudhuri 2025, Auditing f-differential privacy in one run (ICML, arXiv 2410.22235): their
recursion, for an auditor that makes k guesses on m fair coins and leaves the others.

*Claim.* Of every canary, all other coins given, let a guess "it was there" that is made with chance a where it was
not be made with chance at most F(a) where it was, F concave and rising; let G bound guesses "it was not" likewise.
(For f-DP, F is 1 - f, and G is F or, where adding and removing differ, that of the other direction.) Let p_i be the
chance that just i of the k guesses are right, and H(w) the most that F(2a) / 2 + G(2b) / 2 can be with a + b = w; if
only "it was there" is guessed, H(w) = F(2w) / 2. Then for every i

    sum_{l > i} l p_l / m  <=  H( sum_{l >= i} (k - l) p_l / m ).                                           (1)

*Proof.* Take a canary at random. The left side is the chance that it is guessed right while more than i guesses are;
the right side's argument is at least that of its being guessed wrong while i or more are right. Let the left side be
r + s, r where the guess is "it was there". Of the half of all coins where it was, turn its coin and no other: that
guess is now wrong, and i or more are right. F bounds the one chance by the other, for all other coins, and being
concave it bounds their means (Jensen): 2 r <= F(2a), a being the chance of such a wrong guess. So too 2 s <= G(2b).

*What follows.* Suppose that c or more are right with chance t. Chance that lies at l > c may be moved down to c and
what exceeds t on to c - 1, and chance at i that (1) does not need moved down to i - 1, for that lowers no right side
and raises no left one. So the least that all chances can add up to is found by taking all of t at c and then, from
c - 1 down, as little as (1) asks for. Where that is more than 1, t is impossible: seeing c right ones refutes F at
level t.

*What is certified* is a family: with F of Poisson-sampled Gaussian noise over the study's steps, at the study's rate,
any noise as large as the one refuted gives so many right guesses with a chance of at most the level, however the
mechanism lets canaries' fates hang together. Whatever belongs to the family has then at least the epsilon of the
largest noise that is refuted. Of mechanisms outside the family nothing is said.
"""

from __future__ import annotations

from math import exp, log

from experiments.audit.questions._guesses import Guessed
from experiments.audit.questions._trade_off import TradeOff

LEAST_CHANCE, FINENESS = 1e-12, 0.01
"""The smallest chance that is told, and how finely, in its logarithm."""


def refuted(found: TradeOff, guessed: Guessed, level: float) -> bool:
    """Whether so many right guesses, or more, have a chance below `level` wherever none beats the curve."""
    guesses, canaries = guessed.guesses, guessed.canaries
    roc, scale = (found.either, 1.0) if guessed.both_ways else (found.presence, 0.5)
    right, wrong = level * guessed.correct / canaries, level * (guesses - guessed.correct) / canaries
    for count in range(guessed.correct - 1, -1, -1):
        more = scale * roc.least_false_alarms(right / scale) - wrong
        if more <= 0:
            return False
        wrong += more
        right += more * count / (guesses - count)
        if right + wrong > guesses / canaries:
            return True
    return False


def chance(found: TradeOff, guessed: Guessed) -> float:
    """The least level at which so many right guesses are refuted: their chance is at most this. From 1e-12."""
    low, high = log(LEAST_CHANCE), 0.0
    while high - low > FINENESS:
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(found, guessed, exp(middle)) else (middle, high)
    return exp(high)
