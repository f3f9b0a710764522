"""Dense registration by greedy updates: a smoothed Newton step, composed, and the whole smoothed a little.

After Joshi et al. 2004 and Avants et al. 2008 (greedy diffeomorphic registration). Each update is smooth and
no longer than a voxel, so it is invertible, and so is the composition of all; what rounding folds is mended. The
stationary form adds updates to a velocity instead, whose flow has an exact inverse (Vercauteren et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.registration.dense_measures import Measure, dense_measure
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.elasticity import Elastic
from common.registration.flows import Flow, Free, Sliding, Smoother, Stationary, Step
from common.registration.forces import Force, Together
from common.registration.landmarks import Pull
from common.registration.newton import quadratic
from common.registration.objective import Pair
from common.registration.plan import Plan
from common.registration.record import Stage
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import Similarity
from common.registration.total_variation import Variation
from common.registration.transform import Transform
from common.registration.warping import Lattice, enlarged

ITERATIONS = (6, 20, 30)
UPDATE_SIGMA, FIELD_SIGMA = 2.2, 0.8
"""Smoothing in voxels of each update and of the whole."""
DAMPING = 0.1
LEAST_FALL = 0.001
"""A level ends when its cost falls by less than this of its fall so far."""
ELASTIC_LENGTH = 1.0
MENDED_EVERY = 5
LEAST_LEFT = 0.01
"""Of what counts, what a moving mask must leave to be followed."""


class Ground:
    """What stays the same on one level: images on the fixed lattice, as the measure wants them, and a force.

    A mask of the moving image goes with it: what counts is worked out anew wherever the images are compared.
    """

    def __init__(self, pair: Pair, measure: Measure, before: Transform, plan: Plan) -> None:
        geometry = pair.fixed.geometry
        self.lattice = Lattice(geometry.shape)
        first, self._weight, self._mask = brought(pair, before)
        movings = [first, *(brought(channel, before)[0] for channel in pair.also)]
        described = [measure.described(moving) for moving in movings]
        sizes = [0 if one.ndim == first.ndim else len(one) for one in described]
        self._flat = sizes == [0]
        self.moving = torch.cat([one if size else one[None] for one, size in zip(described, sizes, strict=True)])
        forces = [
            measure.force(measure.described(torch.from_numpy(channel.fixed.values).float()), self._weight)
            for channel in pair.channels
        ]
        self.force: Force = forces[0] if len(forces) == 1 else Together(forces, sizes)
        given = plan.landmarks
        self.pull = None if given is None or given.weight == 0 else Pull(given, geometry, before)

    def warped(self, displacement: Tensor) -> Tensor:
        """(*shape) or (C, *shape); the force counts what is there."""
        if self._mask is not None:
            mask = self.lattice.warped(self._mask[None], displacement.detach())[0]
            counted, all_of_it = self._weight * mask, float(self._weight.sum())
            if float(counted.sum()) > LEAST_LEFT * all_of_it:
                self.force.weigh(counted * (all_of_it / counted.sum()))
        found = self.lattice.warped(self.moving, displacement)
        return found[0] if self._flat else found

    def cost(self, displacement: Tensor) -> float:
        """Of images and landmarks."""
        return self.force.derivatives(self.warped(displacement))[0] + self._pulled(displacement)

    def _pulled(self, displacement: Tensor) -> float:
        return 0.0 if self.pull is None else float(self.pull.cost(displacement))

    def advance(self, flow: Flow, sigma: float, costs: list[float]) -> None:
        """One update, unless the costs show that there is nothing to gain."""
        displacement = flow.displacement()
        warped = self.warped(displacement)
        cost, slope, bend = self.force.derivatives(warped)
        costs.append(cost + self._pulled(displacement))
        if not _settled(costs):
            springs = None if self.pull is None else self.pull.model(displacement)
            flow.follow(quadratic(self.lattice, warped, slope, bend, sigma, springs))


def register_dense(
    pairs: Sequence[Pair], similarity: Similarity, before: Transform, plan: Plan, *, invertible: bool
) -> tuple[Transform, list[Stage]]:
    """x -> x + u(x) to come before `before`, a flow where `invertible`, and a record a level; pairs: coarsest first.

    Raises StudyError for a similarity that no dense deformation follows.
    """
    measure, stages = dense_measure(similarity), []
    kind = f"{'velocity' if invertible else 'displacement'}, {measure.name}"
    field: Tensor | None = None
    for level, pair in enumerate(pairs):
        began = perf_counter()
        shape = pair.fixed.geometry.shape
        field = torch.zeros(len(shape), *shape) if field is None else enlarged(field, shape)
        ground = Ground(pair, measure, before, plan)
        flow = _flow(ground.lattice, field, plan, invertible=invertible)
        sigma = UPDATE_SIGMA * measure.smoothness * (plan.smoothness if plan.regulariser == "gaussian" else 1.0)
        costs = _climb(ground, flow, sigma, plan.count(ITERATIONS, len(pairs) - 1 - level))
        field = flow.field
        stages.append(Stage(kind, shape, costs, perf_counter() - began))
    assert field is not None
    geometry = pairs[-1].fixed.geometry
    vectors = in_mm(field, geometry)
    return VelocityField(vectors, geometry) if invertible else DisplacementField(vectors, geometry), stages


def _flow(lattice: Lattice, field: Tensor, plan: Plan, *, invertible: bool) -> Flow:
    step = Step(DAMPING, plan.step)
    if plan.regulariser == "tv":
        return Sliding(lattice, field, step, Variation(Variation.weight * plan.smoothness))
    kind = Stationary if invertible else Free
    return kind(lattice, field, step, _smoother(lattice, plan))


def _smoother(lattice: Lattice, plan: Plan) -> Smoother:
    if plan.regulariser == "elastic" and min(lattice.shape) > 1:  # a lone slice has no elements
        return Elastic(lattice.shape, ELASTIC_LENGTH * plan.smoothness)
    return lambda field: lattice.smoothed(field, FIELD_SIGMA * plan.smoothness)


def _climb(ground: Ground, flow: Flow, sigma: float, count: int) -> tuple[float, ...]:
    costs: list[float] = []
    for done in range(count):
        ground.advance(flow, sigma, costs)
        if _settled(costs):
            break
        if done % MENDED_EVERY == MENDED_EVERY - 1:
            flow.mend()
    flow.mend()
    return tuple(costs)


def _settled(costs: Sequence[float]) -> bool:
    return len(costs) > 3 and costs[-3] - costs[-1] < 2 * LEAST_FALL * (costs[0] - min(costs))


def brought(pair: Pair, before: Transform) -> tuple[Tensor, Tensor, Tensor | None]:
    """The moving image on the fixed lattice by the transform so far, what counts there, and the moving mask there."""
    points = lattice_points(pair.fixed.geometry, torch.float32)
    with torch.no_grad():
        there = before.map_points(points)
        values, inside = Sampler.of(pair.moving).at(there)
        weight, mask = inside.float(), None
        if pair.moving_mask is not None:
            mask = Sampler.of(pair.moving_mask).at(there, "nearest")[0][0]
    if pair.fixed_mask is not None:
        weight *= torch.from_numpy(pair.fixed_mask.values.astype(np.float32))
    return values[0].contiguous(), weight, mask


def in_mm(field: Tensor, geometry: Geometry) -> Tensor:
    """(D, *shape) voxels of a lattice to mm along the world's axes, float64."""
    axes = torch.tensor(geometry.affine[:-1, :-1])
    return torch.einsum("ij,j...->i...", axes, field.double()).contiguous()


def in_voxels(vectors: Tensor, geometry: Geometry) -> Tensor:
    """(D, *shape) mm to voxels of the lattice, float32."""
    back = torch.tensor(np.linalg.inv(geometry.affine[:-1, :-1]))
    return torch.einsum("ij,j...->i...", back, vectors).float()
