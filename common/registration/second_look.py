"""Whether a search came to rest in the wrong valley: turned places that it never saw, each looked at once.

A gradient leads to the nearest valley, and from an image turned by more than a right angle to a wrong one, whose cost
can be as low as that of two different patients laid on each other well: the cost alone does not tell. But where the
valley is the right one, all others lie far above it before a single step; where it is a wrong one, some place at the
edge of the right valley is about as low already. So few looks at coarse images are enough to know where to search.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.data.geometry import Matrix, Points
from common.registration.linear import Linear

MOST_RIVALS = 4
"""That are searched from."""
MARGIN = 1.5
"""Of the first search's fall, by which a place may lie higher: from the edge of its valley one falls further."""


def rivals(
    cost: Callable[[Linear], float], start: Linear, found: Linear, centre_mm: Points, turns: list[Matrix]
) -> list[Linear]:
    """Turned versions of what was found that are worth a search, best first; mostly none.

    cost: of a place, without a search. start: from where `found` was reached. centre_mm: (D,) of the fixed image,
    about which `turns` turn. Worth it is a place from which a fall somewhat further than the first search's would end
    lower.
    """
    lowest = cost(found)
    worth = lowest + MARGIN * max(0.0, cost(start) - lowest)
    turned = [found.after(Linear.of(turn, np.zeros(len(turn)), centre_mm)) for turn in turns]
    costs = [cost(one) for one in turned]
    return [turned[index] for index in np.argsort(costs, kind="stable")[:MOST_RIVALS] if costs[index] < worth]
