"""Dense registration by greedy updates: a smoothed Newton step, composed, and the whole smoothed a little.

After Joshi et al. 2004 and Avants et al. 2008 (greedy diffeomorphic registration). Each update is smooth and
no longer than a voxel, so it is invertible, and so is the composition of all. The stationary form adds updates to
a velocity instead, whose flow has an exact inverse (Vercauteren et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.registration.compose import compose
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.forces import Force, LocalCorrelationForce, SquaredDifference
from common.registration.linear import Linear
from common.registration.local_correlation import LocalCorrelation
from common.registration.newton import newton_step
from common.registration.objective import Pair
from common.registration.record import Stage
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import Similarity, SumOfSquaredDifferences
from common.registration.transform import Transform
from common.registration.warping import Lattice, enlarged


@dataclass(frozen=True)
class Greedy:
    """iterations: at the finest level, next coarser, ...; the last holds for all coarser ones.

    update_sigma, field_sigma: smoothing in voxels of each update and of the whole. step: longest update, voxels.
    damping: see newton_step. A level ends when its cost falls by less than `least_fall` of its fall so far.
    """

    iterations: tuple[int, ...] = (6, 20, 30)
    update_sigma: float = 2.2
    field_sigma: float = 0.8
    step: float = 1.0
    damping: float = 0.1
    least_fall: float = 0.001


def register_dense(
    pyramid: Sequence[Pair],
    similarity: Similarity,
    before: Transform,
    *,
    invertible: bool,
    greedy: Greedy | None = None,
) -> tuple[Transform, list[Stage]]:
    """x -> before(x + u(x)), or before(flow(x)) where `invertible`, and one record a level; pyramid: coarsest first.

    similarity: SSD and local CC; any other one means local CC, which needs no equal intensities.
    """
    plan = greedy or Greedy()
    stages = []
    kind = "velocity" if invertible else "displacement"
    field: Tensor | None = None
    for level, pair in enumerate(pyramid):
        began = perf_counter()
        shape = pair.fixed.geometry.shape
        field = torch.zeros(len(shape), *shape) if field is None else enlarged(field, shape)
        from_finest = len(pyramid) - 1 - level
        count = plan.iterations[min(from_finest, len(plan.iterations) - 1)]
        flow: Flow = Stationary(Lattice(shape), field, plan) if invertible else Free(Lattice(shape), field, plan)
        costs = _climb(flow, pair, similarity, before, plan, count)
        field = flow.field
        stages.append(Stage(kind, shape, costs, perf_counter() - began))
    assert field is not None
    geometry = pyramid[-1].fixed.geometry
    vectors = _in_mm(field, geometry)
    found: Transform = VelocityField(vectors, geometry) if invertible else DisplacementField(vectors, geometry)
    return (found if _is_identity(before) else compose(found, before)), stages


class Flow(Protocol):
    """What updates accumulate in. field: (D, *shape) voxels."""

    field: Tensor

    def displacement(self) -> Tensor:
        """(D, *shape) voxels."""
        ...

    def add(self, update: Tensor) -> None:
        """One more update."""
        ...


class Free:
    """A displacement, updates composed before it."""

    def __init__(self, lattice: Lattice, field: Tensor, plan: Greedy) -> None:
        self._lattice, self.field, self._plan = lattice, field, plan

    def displacement(self) -> Tensor:
        """Itself."""
        return self.field

    def add(self, update: Tensor) -> None:
        """u <- smooth(v + u o (x + v))."""
        self.field = self._lattice.smoothed(self._lattice.composed(self.field, update), self._plan.field_sigma)


class Stationary:
    """A velocity, updates added: the first order of the Baker-Campbell-Hausdorff formula."""

    def __init__(self, lattice: Lattice, field: Tensor, plan: Greedy) -> None:
        self._lattice, self.field, self._plan = lattice, field, plan

    def displacement(self) -> Tensor:
        """Scaling and squaring from steps below half a voxel."""
        largest = float(self.field.norm(dim=0).max())
        squarings = max(0, int(np.ceil(np.log2(max(largest, 1e-9) / 0.5))))
        moved: Tensor = self.field / 2**squarings
        for _ in range(squarings):
            moved = self._lattice.composed(moved, moved)
        return moved

    def add(self, update: Tensor) -> None:
        """v <- smooth(v + update)."""
        self.field = self._lattice.smoothed(self.field + update, self._plan.field_sigma)


def _climb(
    flow: Flow, pair: Pair, similarity: Similarity, before: Transform, plan: Greedy, count: int
) -> tuple[float, ...]:
    lattice = Lattice(pair.fixed.geometry.shape)
    moving, weight = _brought(pair, before)
    force = _force(similarity, torch.from_numpy(pair.fixed.values), weight)
    costs: list[float] = []
    for _ in range(count):
        warped = lattice.warped(moving[None], flow.displacement())[0]
        cost, pull, curvature = force.derivatives(warped)
        costs.append(cost)
        if _settled(costs, plan):
            break
        update = newton_step(lattice, warped, pull, curvature, plan.update_sigma, plan.damping)
        flow.add(update * (plan.step / update.norm(dim=0).clamp(min=plan.step)))
    return tuple(costs)


def _settled(costs: Sequence[float], plan: Greedy) -> bool:
    return len(costs) > 3 and costs[-3] - costs[-1] < 2 * plan.least_fall * (costs[0] - min(costs))


def _brought(pair: Pair, before: Transform) -> tuple[Tensor, Tensor]:
    """The moving image on the fixed lattice by the transform so far, and what counts there."""
    points = lattice_points(pair.fixed.geometry, torch.float32)
    with torch.no_grad():
        there = before.map_points(points)
        values, inside = Sampler.of(pair.moving).at(there)
        weight = inside.float()
        if pair.moving_mask is not None:
            weight *= Sampler.of(pair.moving_mask).at(there, "nearest")[0][0]
    if pair.fixed_mask is not None:
        weight *= torch.from_numpy(pair.fixed_mask.values.astype(np.float32))
    return values[0].contiguous(), weight


def _force(similarity: Similarity, fixed: Tensor, weight: Tensor) -> Force:
    if isinstance(similarity, SumOfSquaredDifferences):
        return SquaredDifference(fixed, weight)
    radius = similarity.radius if isinstance(similarity, LocalCorrelation) else LocalCorrelation().radius
    return LocalCorrelationForce(fixed, weight, radius)


def _in_mm(field: Tensor, geometry: Geometry) -> Tensor:
    axes = torch.tensor(geometry.affine[:-1, :-1])
    return torch.einsum("ij,j...->i...", axes, field.double()).contiguous()


def _is_identity(transform: Transform) -> bool:
    return isinstance(transform, Linear) and torch.equal(
        transform.matrix, Linear.identity(transform.dimensions).matrix
    )
