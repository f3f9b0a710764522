"""Whether whoever is named as a survivor is in the sum, where hospitals have masks in common with some alone.

A coordinator that cheats could name a hospital as a survivor that is none, and call all lost that chose it: then no
mask in the sum says that it is missing. Hospitals would write down one set of survivors, and the sum be of another;
asked again with that hospital in it, they would open the first set's sum at the same model, and the difference would
be one hospital's update. So a hospital masks only where none of those that it chose is named without having announced
keys, and whom a coordinator may call lost is bounded: whole groups, where no noise covers what differences tell.

*Theorem.* Of n hospitals c collude, fixed before anybody chooses; h = n - c; survivors are whole groups of the
round's, and at least so many as a sum needs. But for a chance of at most

    sum over f, s of C(g, f) C(h, s) (C(n - 1 - s, k) / C(n - 1, k))^max(n - u_f - c - s, h / 2 + 1)

whoever is named as a survivor, and does not collude, is in the sum that is opened. Here f of the round's g groups are
lost, u_f is the most hospitals that they may have, and s counts who is named and is not there, up to h / 2.
*Proof.* Let S be those named, Q those of them in the sum, of more than h / 2 honest ones by the theorem of
`_neighbourhood`, and N those honest ones of S that are not. No secret key of N is opened, for survivors' are not; so
no hospital of Q has a mask in common with one of N, and thus none chose one. For given lost groups and N, Q is
given, each of it avoids s of n - 1 others with its k choices by itself, and there are n - u_f - c - s or more of it.
The chance is of the choices alone, so it does not matter when a coordinator decides.

Where a round's groups are few it is tiny, of one group 2^-90 with 10,000 hospitals; of groups of three among
10,000 it is no chance at all but a certainty: such rounds are refused. Where noise covers differences, or a study
says that sums of any hospitals may be opened, there are no groups, and nothing is promised of whole sums.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import log

import numpy as np
from scipy.special import logsumexp

from common.errors import StudyError
from common.sums.aggregations._neighbourhood import Demand, Neighbourhood, chance_bits, log_choose, secrecy_bits
from common.sums.cohort import Cohort


def demand_whole(demand: Demand, graph: Neighbourhood, cohort: Cohort, fewest: int) -> None:
    """Raise StudyError where survivors of so many groups could be named that are not in the sum.

    fewest: hospitals that a sum needs.
    """
    if not cohort.groups:
        return
    sizes = tuple(sorted(map(len, cohort.groups)))
    bits = whole_bits(demand, graph, sizes, fewest)
    if chance_bits(bits, secrecy_bits(demand, graph)) < demand.secrecy_bits:
        raise StudyError(
            f"a sum of {demand.hospitals} hospitals in {len(sizes)} groups could be opened without one that is named "
            f"in it, but for a chance of 2^-{max(bits, 0):.0f}; secrecy_bits demands 2^-{demand.secrecy_bits}: "
            "set aggregation.neighbours = 'all', or have fewer and larger groups (federation.least_in_sum)."
        )


@lru_cache(maxsize=256)
def whole_bits(demand: Demand, graph: Neighbourhood, sizes: tuple[int, ...], fewest: int) -> float:
    """Minus the base-2 logarithm of the theorem's chance. sizes: of the groups, ascending."""
    honest, spare = demand.hospitals - demand.colluding, demand.hospitals - fewest
    absent = np.arange(1, max(honest // 2, 1) + 1)
    ways = log_choose(honest, absent)
    others = demand.hospitals - 1
    avoids = log_choose(others - absent, graph.chosen) - log_choose(others, graph.chosen)
    total = -np.inf
    least, most = (0, *accumulate(sizes)), (0, *accumulate(reversed(sizes)))
    for lost in range(sum(size <= spare for size in least)):
        there = np.maximum(honest - min(most[lost], spare) - absent, honest // 2 + 1)
        drawn = float(log_choose(len(sizes), lost))
        total = np.logaddexp(total, drawn + logsumexp(ways + there * avoids))
        if total > 0:
            break
    return -float(total) / log(2)
