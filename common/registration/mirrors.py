"""Whether other ways of laying an image on another, that no search may take, would have fitted as well or better."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from common.registration.information import CorrelationRatio
from common.registration.linear import Linear
from common.registration.linear_registration import Search, rigid_search
from common.registration.objective import Pair
from common.registration.optimisers import Lbfgs
from common.registration.starts import ROTATIONS_OF_A_CUBE, mass_mm, rotations
from common.registration.transform import Composition, Transform
from common.seeding import generator

Explained = Callable[[Transform], float]
POINTS = 2000
ITERATIONS = 12


def turned(pair: Pair, found: Transform) -> Iterator[Transform]:
    """What was found, after the fixed image was turned about its mass in 23 ways (24 are the rotations of a cube)."""
    centre, count = mass_mm(pair.fixed), ROTATIONS_OF_A_CUBE
    for turn in rotations(found.dimensions, count, generator(0, "turned"))[1:]:
        yield Composition(Linear.of(turn, np.zeros(len(turn)), centre), found)


def best_mirrored(pair: Pair, found: Transform, explained: Explained) -> Transform:
    """The best of 24 mirror images of what was found; improved by a rigid search where that is linear."""
    centre, flip = mass_mm(pair.fixed), np.diag([-1.0, *[1.0] * (found.dimensions - 1)])
    turns = rotations(found.dimensions, ROTATIONS_OF_A_CUBE, generator(0, "mirrored"))
    ways = [Linear.of(turn @ flip, np.zeros(len(turn)), centre) for turn in turns]
    best = max(ways, key=lambda way: explained(Composition(way, found)))
    if not isinstance(found, Linear):
        return Composition(best, found)
    search = Search(CorrelationRatio(), Lbfgs(ITERATIONS), POINTS, 1, generator(0, "mirror"))
    return rigid_search(pair, search, found.after(best))[0]
