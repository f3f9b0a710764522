"""How intensities of two images that lie on each other are related: by a line, or by a curve."""

from __future__ import annotations

import numpy as np
import torch

from common.registration.information import CorrelationRatio
from common.registration.objective import Pair
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import CorrelationCoefficient
from common.registration.transform import Transform

CURVED = 0.1
"""Of what a curve explains of the variance, the share that a rising line must miss for the curve to matter."""
MOST_POINTS = 20_000


def is_curved(pair: Pair, found: Transform) -> bool:
    """Whether a curve explains clearly more of either image than a rising line does."""
    points = lattice_points(pair.fixed.geometry).flatten(0, -2)
    points = points[:: max(1, len(points) // MOST_POINTS)]
    with torch.no_grad():
        there = found.map_points(points)
        moving, inside = Sampler.of(pair.moving).at(there)
        fixed, weight = Sampler.of(pair.fixed).at(points)[0][0], inside.to(moving.dtype)
        straight = max(0.0, -float(CorrelationCoefficient().cost(moving[0], fixed, weight))) ** 2
        curves = [
            -float(CorrelationRatio().cost(*pair_of, weight)) for pair_of in ((moving[0], fixed), (fixed, moving[0]))
        ]
    return bool(straight < (1 - CURVED) * max(np.nan_to_num(curves)))
