"""Displacements of least total variation: flat inside, and free to jump where parts slide along each other.

At a displacement u0 the cost is a convex quadratic in u - u0 at every voxel; the answer minimises it plus
weight * sum of Huber's norm of u's gradient (Werlberger et al. 2009: as total variation, without its staircases), by
the primal-dual steps of Chambolle and Pock 2011, algorithm 1, as in TV flow (Zach et al. 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.registration.newton import Quadratic


@dataclass(frozen=True)
class Variation:
    """weight: against a model whose mean curvature is 1. corner: gradient up to which the norm is a square.

    iterations: of primal and dual steps.
    """

    weight: float = 0.2
    corner: float = 0.02
    iterations: int = 25


def least_variation(model: Quadratic, start: Tensor, variation: Variation, damping: float) -> Tensor:
    """(D, *shape) voxels: argmin_u q(u - start) + weight * TV(u). damping: of q, as in Newton's step."""
    size = len(start)
    curvature = float(sum(model.bends[axis, axis].mean() for axis in range(size))) / size + 1e-12
    weight = variation.weight * curvature
    step = 1 / (4 * size) ** 0.5
    primal, dual = step / curvature, step * curvature
    found, ahead = start, start
    jumps = torch.zeros(size, *start.shape)
    for _ in range(variation.iterations):
        jumps = _bounded(jumps + dual * _gradient(ahead), weight, 1 + dual * variation.corner / weight)
        pulled = found + primal * _divergence(jumps)
        new = start + _damped(model, pulled - start, primal, damping * curvature)
        found, ahead = new, 2 * new - found
    return found


def variation_cost(model: Quadratic, start: Tensor, found: Tensor, variation: Variation, damping: float) -> float:
    """What `least_variation` minimises."""
    size = len(start)
    curvature = float(sum(model.bends[axis, axis].mean() for axis in range(size))) / size + 1e-12
    moved = found - start
    total = (model.slope * moved).sum() + damping * curvature * moved.square().sum() / 2
    for (one, two), bend in model.bends.items():
        total = total + (0.5 if one == two else 1.0) * (bend * moved[one] * moved[two]).sum()
    steep = _gradient(found).square().sum(dim=(0, 1)).sqrt()
    corner = variation.corner
    huber = torch.where(steep < corner, steep.square() / (2 * corner), steep - corner / 2)
    return float(total + variation.weight * curvature * huber.sum())


def _damped(model: Quadratic, pulled: Tensor, primal: float, still: float) -> Tensor:
    """argmin_d q(d) + still |d|^2 / 2 + |d - pulled|^2 / (2 primal)."""
    return model.solved(pulled / primal - model.slope, still + 1 / primal)


def _gradient(values: Tensor) -> Tensor:
    """(axes, D, *shape) forward differences, 0 at the last voxel."""
    return torch.stack([_forward(values, axis) for axis in range(1, values.ndim)])


def _forward(values: Tensor, axis: int) -> Tensor:
    return torch.cat([values.diff(dim=axis), torch.zeros_like(values.narrow(axis, 0, 1))], axis)


def _divergence(jumps: Tensor) -> Tensor:
    """(D, *shape): minus the adjoint of `_gradient`."""
    total = torch.zeros_like(jumps[0])
    for axis, part in enumerate(jumps, start=1):
        inner = part.narrow(axis, 0, part.shape[axis] - 1)
        nothing = torch.zeros_like(part.narrow(axis, 0, 1))
        total = total + torch.cat([inner, nothing], axis) - torch.cat([nothing, inner], axis)
    return total


def _bounded(jumps: Tensor, radius: float, shrink: float) -> Tensor:
    """Huber's proximal step: shrunk, then no longer than `radius` at each voxel, over axes and components."""
    shrunk = jumps / shrink
    return shrunk / (shrunk.square().sum(dim=(0, 1)).sqrt() / radius).clamp(min=1)
