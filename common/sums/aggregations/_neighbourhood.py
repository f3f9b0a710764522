"""How many hospitals a hospital chooses to share its secrets with, and how many of them open its mask.

After Bell, Bonawitz, Gascon, Lepoint and Raykova 2020, "Secure single-server aggregation with (poly)logarithmic
overhead" (CCS), section 4: of n hospitals each chooses k others evenly at random, by itself; a pair masks where one
of the two chose the other. A hospital's mask is opened by t of the k that it chose, and only where t of them signed
the one set of survivors. With c colluding hospitals, fixed before anybody chooses, h = n - c, and H(x; K, k) the
chance that at least x of k chosen among n - 1 are of K:

*Theorem (secrecy).* But for a chance of at most

    P = sum over s from 1 to h / 2 of C(h, s) H(t; c + s - 1, k)^s

no coordinator, whomever it calls lost and whenever, learns of the honest hospitals' updates anything but one sum over
all of them that it opens, and that is of more than h / 2. *Proof.* What it learns is a sum over a set S of honest
hospitals of which none has a mask left in common with an honest hospital outside of S that is not called lost: the
seed of a pair of honest hospitals is known to nobody where neither is. So of each hospital in S the t that it chose
and that signed are of S or collude (who signed is not called lost, and nobody's two secrets are both opened). For a
fixed S of s hospitals their choices are independent, and each has at least t of the c + s - 1 with a chance of H(t; c
+ s - 1, k); there are C(h, s) such S. Two disjoint sets, each of more than h / 2, there are not. s = 1 says that
fewer than t of those that keep a hospital's shares collude. The chance is of the choices alone: neither whom the
coordinator loses, nor when it decides, is in it. (The paper's coordinator loses hospitals at random, or opens several
sums of a share of all; ours opens one. So the theorem is ours; nobody outside this project has reviewed it.)

*Theorem (whole sums).* Where a coordinator may call nobody lost, as in a round of one group, it opens a sum over some
of the honest hospitals, and not over all, with a chance of at most

    P + sum over s from 1 to h / 2 of C(h, s) (C(n - 1 - s, k) / C(n - 1, k))^(h - s)

*Proof.* P is of sums over h / 2 or fewer. Of another the rest, of s < h / 2, has no mask in common with those in it:
each of these h - s chose nobody of the rest, and each chooses by itself. (That the rest chose somebody does not help:
whom it chose may not have been shown that.) Where there are several groups, all of one have masks in common.

*Theorem (shares of noise).* Where sums of any hospitals may be opened, and m hospitals signed whom one names, all of
the honest ones that signed are in it but for s, unless with P or a chance of at most

    sum over r > s of C(n, r) C(n - r, q) (C(n - 1 - r, k) / C(n - 1, k))^q, q the larger of m - c - r and h / 2 + 1

*Proof.* Let r honest ones that signed be left out, and X be the honest ones whose updates are in the sum: more than
half of the honest ones but for P, and m - c - r or more. Whoever is in X masked by the root and the order of those
that signed, or nobody gave a share of its seed. Under that root whoever signed found its keys, so those in X that
chose it were shown it, and have a mask in common with it that nobody opens, for nobody calls it lost. So nobody in X
chose any of the r, and each of X chooses by itself. (That the r chose some of X does not help: they may not have been
shown to those.) It is over all sets among n, so that it holds where c or fewer collude. A greedy coordinator leaves
out fewer: six of a thousand hospitals where a third may be lost, and s is then 19.

*Theorem (correctness).* Of n hospitals of which any d are lost in whatever leg, the lost ones being independent of
the choices, all masks are opened but for a chance of at most n H(k - t + 1; d, k).

All chances are worked out exactly, from logarithms of binomials; t is the largest that the last allows, and
k the least for which the first two hold as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from common.errors import StudyError

Logs = NDArray[np.float64]
SAFE_SHARE = 0.1
"""Of a round's hospitals that a sparse graph takes to collude where the study says fewer."""

ROOM_BITS = 0.01
"""Of what is demanded, left to the chances of `_witnesses`: 1 part in 145."""


SPARED_BITS = 10
"""By so many smaller is the chance that more shares of noise are left out than is counted with."""


@dataclass(frozen=True)
class Neighbourhood:
    """chosen: how many others each hospital chooses (k). needed: of these, to open its mask (t)."""

    chosen: int
    needed: int

    @property
    def may_be_lost(self) -> int:
        """Of those that one hospital chose."""
        return self.chosen - self.needed


@dataclass(frozen=True)
class Demand:
    """hospitals: of a round. colluding: of them, whom a cheating coordinator may have. lost: in any of its legs.

    secrecy_bits, success_bits: a round tells more than its sum with a chance of at most 2^-secrecy_bits, and fails
    with one of at most 2^-success_bits while no more are lost.
    """

    hospitals: int
    colluding: int
    lost: int
    secrecy_bits: int = 40
    success_bits: int = 30

    @classmethod
    def of(cls, hospitals: int, colluding: int, lost_share: float, secrecy_bits: int, success_bits: int) -> Demand:
        """colluding: as the study says; a tenth of the round is taken where that is more."""
        most = max(colluding, ceil(SAFE_SHARE * hospitals))
        return cls(hospitals, most, ceil(lost_share * hospitals), secrecy_bits, success_bits)

    def with_chosen(self, chosen: int) -> Neighbourhood:
        """Of so many. Raises StudyError where they do not keep what is demanded."""
        return _with_chosen(self, chosen)


@lru_cache(maxsize=256)
def _with_chosen(demand: Demand, chosen: int) -> Neighbourhood:
    """Kept: every leg of a round asks."""
    if not 2 <= chosen < demand.hospitals:
        raise StudyError(
            f"aggregation.neighbours must be between 2 and {demand.hospitals - 1} for a round of {demand.hospitals} "
            f"hospitals; it is {chosen}."
        )
    found = Neighbourhood(chosen, chosen - most_lost(demand, chosen))
    bits = secrecy_bits(demand, found)
    if bits < demand.secrecy_bits + ROOM_BITS:
        fewest = least_neighbourhood(demand)
        enough = "'all' of them" if fewest is None else f"{fewest.chosen} or more"
        raise StudyError(
            f"aggregation.neighbours = {chosen} of {demand.hospitals} hospitals, {demand.colluding} of them "
            f"colluding and {demand.lost} lost, keeps a sum closed "
            f"but for a chance of 2^-{max(bits, 0):.0f}; secrecy_bits "
            f"demands 2^-{demand.secrecy_bits}: it must be {enough}."
        )
    return found


@lru_cache(maxsize=256)
def least_neighbourhood(demand: Demand) -> Neighbourhood | None:
    """The smallest that keeps what is demanded; None where choosing all does not."""
    for chosen in range(2, demand.hospitals):
        found = Neighbourhood(chosen, chosen - most_lost(demand, chosen))
        # Of few sizes first: any one of them that is too likely is enough, and most numbers are refused by one.
        if all(secrecy_bits(demand, found, few) >= demand.secrecy_bits + ROOM_BITS for few in (True, False)):
            return found
    return None


def most_lost(demand: Demand, chosen: int) -> int:
    """How many of a hospital's chosen ones may be lost, so that more are with a chance that is allowed."""
    tails = log_tails(demand.hospitals - 1, demand.lost, chosen)
    allowed = -(demand.success_bits + ROOM_BITS) * log(2) - log(demand.hospitals)
    return int(np.argmax(tails[1:] <= allowed))


def failure_bits(demand: Demand, found: Neighbourhood) -> float:
    """Minus the base-2 logarithm of a bound of the chance that some hospital's mask cannot be opened."""
    tail = float(log_tails(demand.hospitals - 1, demand.lost, found.chosen)[found.may_be_lost + 1])
    return -(tail + log(demand.hospitals)) / log(2)


def secrecy_bits(demand: Demand, found: Neighbourhood, few: bool = False) -> float:
    """Minus the base-2 logarithm of the chance of the second theorem, P among it. few: of four of P's terms alone."""
    honest = demand.hospitals - demand.colluding
    if honest < 2:
        return -inf
    sizes = np.arange(1, honest // 2 + 1)
    if few:
        sizes = np.unique(np.maximum(honest // np.array([honest, 8, 4, 2]), 1))
    others, ways = demand.hospitals - 1, log_choose(honest, sizes)
    inside = log_tail(others, demand.colluding + sizes - 1, found.chosen, found.needed)
    none = log_choose(others - sizes, found.chosen) - log_choose(others, found.chosen)
    return -float(logsumexp([ways + sizes * inside, ways + (honest - sizes) * none])) / log(2)


@lru_cache(maxsize=256)
def most_left_out(demand: Demand, found: Neighbourhood, signing: int) -> int:
    """Of the honest ones of at least so many that signed: s of the theorem of shares, for a chance that is spared."""
    hospitals, half = demand.hospitals, (demand.hospitals - demand.colluding) // 2 + 1
    sizes = np.arange(1, hospitals - half + 1)
    inside = np.maximum(signing - demand.colluding - sizes, half)
    none = log_choose(hospitals - 1 - sizes, found.chosen) - log_choose(hospitals - 1, found.chosen)
    terms = log_choose(hospitals, sizes) + log_choose(hospitals - sizes, inside) + inside * none
    tails = np.logaddexp.accumulate(terms[::-1])[::-1]
    likely = np.flatnonzero(tails > -(demand.secrecy_bits + SPARED_BITS) * log(2))
    return int(likely[-1]) + 1 if likely.size else 0


def chance_bits(*bits: float) -> float:
    """Of chances of 2^-bits each: minus the base-2 logarithm of their sum."""
    return -float(logsumexp(-np.array(bits) * log(2))) / log(2)


def log_tail(others: int, marked: NDArray[np.int64], drawn: int, least: int) -> Logs:
    """(m,) log of the chance that at least `least` of `drawn` among `others` are of the `marked`, (m,)."""
    counts = np.arange(least, drawn + 1)
    ways = log_choose(marked[:, None], counts) + log_choose(others - marked[:, None], drawn - counts)
    with np.errstate(divide="ignore"):  # no way at all
        tail = logsumexp(ways, axis=1) - log_choose(others, drawn)
    return np.minimum(np.asarray(tail, np.float64), 0.0)


def log_tails(others: int, marked: int, drawn: int) -> Logs:
    """(drawn + 2,) the same for one number of marked, at least 0, 1, ... drawn + 1 of them."""
    counts = np.arange(drawn + 1)
    ways = log_choose(marked, counts) + log_choose(others - marked, drawn - counts) - log_choose(others, drawn)
    with np.errstate(divide="ignore"):
        tails = np.logaddexp.accumulate(ways[::-1])[::-1]
    return np.append(np.minimum(tails, 0.0), -inf)


def log_choose(of: int | NDArray[np.int64], chosen: int | NDArray[np.int64]) -> Logs:
    """Natural logarithm of the binomial coefficient; -inf where there is none."""
    of, chosen = np.broadcast_arrays(np.asarray(of), np.asarray(chosen))
    there = (chosen >= 0) & (chosen <= of)
    n, k = np.where(there, of, 0), np.where(there, chosen, 0)
    return np.where(there, gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0), -inf)
