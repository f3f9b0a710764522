"""Registration by free-form deformation: control points moved by an optimiser, from coarse images to fine ones.

Control points are refined with the images (Lee et al. 1997; Rueckert et al. 1999): a cell is halved by the splines'
own subdivision, which changes nothing, so that a level begins where the last one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.registration.deformable import Ground
from common.registration.dense_measures import Felt, any_measure
from common.registration.filters import along_axes
from common.registration.folding import folded
from common.registration.free_form import FreeForm, bending_energy, control_lattice_of, spline_weights, subdivided
from common.registration.objective import Pair
from common.registration.optimisers import Lbfgs, Optimiser
from common.registration.plan import Plan
from common.registration.record import Stage
from common.registration.similarity import Similarity
from common.registration.transform import Transform

ITERATIONS = (15, 25, 40)
STIFFNESS = 1e-4
"""Of the bending energy in cells, for smoothness 1."""
CELLS_ALONG = 18
FEWEST_VOXELS = 4
"""Of the longest axis, unless a cell would have fewer voxels than this."""
SMOOTHINGS = 60


def register_free_form(
    pairs: Sequence[Pair], similarity: Similarity, optimiser: Optimiser, before: Transform, plan: Plan
) -> tuple[Transform, list[Stage]]:
    """x -> x + u(x) to come before `before`, and a record a level; pairs: coarsest first."""
    measure, stages = any_measure(similarity), []
    finest = pairs[-1].fixed.geometry
    counts = _counts(finest, plan.spacing_mm or usual_spacing_mm(finest), len(pairs))
    vectors = torch.zeros(finest.dimensions, *(count + 3 for count in counts[0]), dtype=torch.float64)
    for level, pair in enumerate(pairs):
        began = perf_counter()
        if level:
            vectors = subdivided(
                vectors, [new > old for old, new in zip(counts[level - 1], counts[level], strict=True)]
            )
        grid = _Grid(pair.fixed.geometry, counts[level])
        ground = Ground(pair, measure, before, plan)

        def cost(parameters: Tensor, grid: _Grid = grid, ground: Ground = ground) -> Tensor:
            points = grid.in_mm(parameters)
            displacement = grid.displacement(points)
            total: Tensor = Felt.apply(ground.warped(displacement), ground.force).double()  # type: ignore[no-untyped-call]
            total = total + STIFFNESS * plan.smoothness**2 * grid.bending(points)
            return total if ground.pull is None else total + ground.pull.cost(displacement)

        count = plan.count(ITERATIONS, len(pairs) - 1 - level)
        found = _limited(optimiser, count).minimise(cost, grid.in_voxels(vectors))
        vectors = grid.mended(grid.in_mm(found.parameters))
        stages.append(
            Stage(f"bspline, {measure.name}", pair.fixed.geometry.shape, found.costs, perf_counter() - began)
        )
    return FreeForm(vectors.flatten(1).T.contiguous(), control_lattice_of(finest, counts[-1])), stages


class _Grid:
    """Control points of one level over its voxels."""

    def __init__(self, geometry: Geometry, counts: Sequence[int]) -> None:
        self._shape = (geometry.dimensions, *(count + 3 for count in counts))
        self._weights = [spline_weights(size, count) for size, count in zip(geometry.shape, counts, strict=True)]
        self._to_mm = torch.tensor(geometry.affine[:-1, :-1])
        self._to_voxels = torch.tensor(np.linalg.inv(geometry.affine[:-1, :-1]))
        self._cells = torch.tensor(geometry.shape) / torch.tensor(counts)

    def in_mm(self, parameters: Tensor) -> Tensor:
        """(D, *points) of (P,) in voxels, so that an optimiser's lengths mean the same in any world."""
        return torch.einsum("ij,j...->i...", self._to_mm, parameters.reshape(self._shape))

    def in_voxels(self, points: Tensor) -> Tensor:
        """(P,) of (D, *points) mm."""
        return torch.einsum("ij,j...->i...", self._to_voxels, points).reshape(-1)

    def displacement(self, points: Tensor) -> Tensor:
        """(D, *shape) voxels, float32."""
        voxels = torch.einsum("ij,j...->i...", self._to_voxels, points)
        return along_axes(voxels.float(), self._weights)

    def bending(self, points: Tensor) -> Tensor:
        """() of displacements in cells."""
        cells = torch.einsum("ij,j...->i...", self._to_voxels, points)
        return bending_energy(cells / self._cells.reshape(-1, *[1] * (points.ndim - 1)))

    def mended(self, points: Tensor) -> Tensor:
        """The same where nothing folds; about folds ever smoother, and at last drawn towards the mean."""
        for _ in range(SMOOTHINGS):
            bad = folded(self.displacement(points))
            if not bad.any():
                return points
            near = along_axes(bad.float()[None], [weights.T for weights in self._weights])[0]
            near = (4 * near / near.max()).clamp(max=1).double()
            points = points + near * (_averaged(points) - points)
        mean = points.flatten(1).mean(1).reshape(-1, *[1] * (points.ndim - 1))
        while folded(self.displacement(points)).any():
            points = mean + (points - mean) / 2
        return points


def usual_spacing_mm(geometry: Geometry) -> float:
    """Between control points: a share of the longest axis."""
    longest = max(size * edge for size, edge in zip(geometry.shape, geometry.spacing_mm, strict=True))
    return max(longest / CELLS_ALONG, FEWEST_VOXELS * min(geometry.spacing_mm))


def _counts(geometry: Geometry, spacing_mm: float, levels: int) -> list[tuple[int, ...]]:
    """Cells along each axis, coarsest level first; each is that of the level before or twice it."""
    wanted = [
        max(1, round(size * edge / spacing_mm))
        for size, edge in zip(geometry.shape, geometry.spacing_mm, strict=True)
    ]
    halvings = [min(levels - 1, int(np.log2(count))) for count in wanted]
    bases = [max(1, round(count / 2**times)) for count, times in zip(wanted, halvings, strict=True)]
    return [
        tuple(base * 2 ** max(0, level - (levels - 1 - times)) for base, times in zip(bases, halvings, strict=True))
        for level in range(levels)
    ]


def _limited(optimiser: Optimiser, iterations: int) -> Optimiser:
    return replace(optimiser, iterations=iterations) if isinstance(optimiser, Lbfgs) else optimiser


def _averaged(points: Tensor) -> Tensor:
    """Each with its neighbours along every axis, 1 : 2 : 1."""
    for axis in range(1, points.ndim):
        size = points.shape[axis]
        before, after = (
            points.index_select(axis, (torch.arange(size) + step).clamp(0, size - 1)) for step in (-1, 1)
        )
        points = (before + 2 * points + after) / 4
    return points
