"""Registration by free-form deformation: control points moved by an optimiser, from coarse images to fine ones."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import torch

from common.registration.families import FreeFormMotion
from common.registration.free_form import control_lattice
from common.registration.linear_registration import Search
from common.registration.objective import Pair
from common.registration.record import Stage
from common.registration.transform import Transform
from common.study.checks import positive


def register_free_form(
    pyramid: Sequence[Pair], search: Search, before: Transform, spacing_mm: float, stiffness: float
) -> tuple[Transform, list[Stage]]:
    """x -> before(x + u(x)) and one record a level. spacing_mm: between control points; pyramid: coarsest first."""
    positive("register", spacing_mm=spacing_mm)
    lattice = control_lattice(pyramid[-1].fixed.geometry, spacing_mm)
    vectors = torch.zeros(torch.Size(lattice.shape).numel(), lattice.dimensions, dtype=torch.float64)
    stages = []
    for pair in pyramid:
        began = perf_counter()
        family = FreeFormMotion(lattice, before, vectors, stiffness)
        found = search.climb(pair, family)
        vectors = found.parameters.reshape(vectors.shape)
        stages.append(Stage("bspline", pair.fixed.geometry.shape, found.costs, perf_counter() - began))
    return FreeFormMotion(lattice, before, vectors, stiffness).transform(vectors.reshape(-1)), stages
