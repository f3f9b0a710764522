"""How few signatures on survivors a hospital reads where hospitals are many, and why they say what all would say.

Shares are given of one set of survivors alone, or both secrets of a hospital could be opened. Where each hospital
reads the signatures of more than half of all, no two sets are signed by so many; their bytes grow with the hospitals.
Here each has m witnesses, whom its choice of the round draws, neighbours or not. It confirms a set, with a signature,
where it signed it and q of its witnesses did; and it gives shares where q of its witnesses confirmed the set that it
signed.

*Theorem (one set).* Of n hospitals c collude, fixed before anybody chooses; h = n - c, a = h / 2 rounded down; H(x;
K, m) is the chance that x or more of m drawn among n - 1 are of K. But for a chance of at most, for any z,

    C(h, a) C(a, z) H(q; c + a - 1, m)^z  +  h H(q - z + 1; c, m)

whenever an honest hospital gives a share, more than half of the honest ones signed its set. Each signs one set in one
session, so honest hospitals give shares of one set alone. *Proof.* Suppose that a set is signed by no more than a
honest ones, Y (fill it up to a of them), of whom X confirm it. Either X has z or more: of some z of Y each has, then,
q witnesses in Y or among the colluding. For given sets the witnesses of z hospitals are drawn by themselves, each
with a chance of at most H(q; c + a - 1, m); there are C(h, a) C(a, z) such sets. Or X has z - 1 at most: whoever
gives a share has q witnesses who confirmed, q - z + 1 of whom collude, and there are h hospitals. The chance is of
the choices alone: it does not matter whom a coordinator tells what, whom it calls lost, or in which order it asks.

One round of witnesses would not do: the t that keep one hospital's shares have a few thousand witnesses together, and
a coordinator that shows these one set and all others a second has both of its secrets. Of two rounds the first leaves
few who confirm a set that half of all did not sign, and the second needs more than so few.

*Theorem (success).* Where any d hospitals are lost, in whatever leg and independent of the choices, each finds its q
but for a chance of at most n H(m - q + 1; d, m). m is the least that keeps both; it grows with the square root of n,
at most: 168 of 1,000, 374 of 10,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np

from common.sums.aggregations._neighbourhood import Demand, log_choose, log_tail, log_tails

SPARE_BITS = 10
"""Both chances are by so many bits smaller than what is demanded of a round in all."""
FEWER = 2
"""Times fewer signatures than all, or else these are read: of a leg less."""


@dataclass(frozen=True)
class Witnesses:
    """chosen: how many each hospital draws (m). needed: of these, for it to go on (q)."""

    chosen: int
    needed: int


@lru_cache(maxsize=256)
def least_witnesses(demand: Demand) -> Witnesses | None:
    """The fewest that keep what is demanded; None where that is no fewer signatures than all, in two legs."""
    for chosen in range(2, demand.hospitals // (2 * FEWER) + 1):
        tails = log_tails(demand.hospitals - 1, demand.lost, chosen)
        allowed = -(demand.success_bits + SPARE_BITS) * log(2) - log(demand.hospitals)
        found = Witnesses(chosen, chosen - int(np.argmax(tails[1:] <= allowed)))
        if one_set_bits(demand, found) >= demand.secrecy_bits + SPARE_BITS:
            return found
    return None


@lru_cache(maxsize=256)
def one_set_bits(demand: Demand, found: Witnesses) -> float:
    """Minus the base-2 logarithm of the first theorem's chance, for the best z."""
    honest, others = demand.hospitals - demand.colluding, demand.hospitals - 1
    half = honest // 2
    if half < 1 or found.needed < 1:
        return -np.inf
    confirming = np.arange(1, min(half, found.needed) + 1)
    inside = log_tail(others, np.array([demand.colluding + half - 1]), found.chosen, found.needed)
    many = log_choose(honest, half) + log_choose(half, confirming) + confirming * inside
    few = log(honest) + log_tails(others, demand.colluding, found.chosen)[found.needed - confirming + 1]
    return -float(np.logaddexp(many, few).min()) / log(2)


def missed_bits(demand: Demand, found: Witnesses) -> float:
    """Minus the base-2 logarithm of the second theorem's chance."""
    tail = float(log_tails(demand.hospitals - 1, demand.lost, found.chosen)[found.chosen - found.needed + 1])
    return -(tail + log(demand.hospitals)) / log(2)
