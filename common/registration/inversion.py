"""A transform's inverse at given points: a fixed-point iteration (Chen et al. 2008), then Newton's where it stalls.

The fixed point y <- y - (f(y) - x) is reached where the displacement's slopes are below 1. A deformation that folds
nowhere may be steeper; there Newton's step, halved until it brings the point nearer, goes on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Forward = Callable[[Tensor], Tensor]
FIXED_POINT_STEPS, NEWTON_STEPS, HALVINGS = 30, 60, 6
SLOPE_STEP = 10.0
"""Half the length that slopes are taken over, in tolerances."""


def solved(forward: Forward, points: Tensor, tolerance_mm: float) -> tuple[Tensor, float]:
    """y (..., D) with forward(y) = points, and the largest error in mm that is left; differentiable in the points."""
    wanted = points.detach().reshape(-1, points.shape[-1])
    with torch.no_grad():
        found, error = _fixed_point(forward, wanted, tolerance_mm)
        open_ = (error > tolerance_mm).nonzero()[:, 0]
        if len(open_):
            found[open_], error[open_] = _newton(forward, wanted[open_], found[open_], tolerance_mm)
    left = float(error.max()) if len(error) else 0.0
    if points.requires_grad:
        lacking = forward(found) - points.reshape(found.shape)
        found = found - torch.linalg.solve(_slopes(forward, found, tolerance_mm), lacking)
    return found.reshape(points.shape), left


def _fixed_point(forward: Forward, wanted: Tensor, tolerance_mm: float) -> tuple[Tensor, Tensor]:
    """The best place met for each, (N, D), and its error, (N,); what is found is not looked at again."""
    found = wanted.clone()
    least = torch.full((len(wanted),), torch.inf, dtype=wanted.dtype)
    here, open_ = wanted.clone(), torch.arange(len(wanted))
    for _ in range(FIXED_POINT_STEPS):
        error = forward(here) - wanted[open_]
        size = error.norm(dim=-1)
        better = size < least[open_]
        found[open_[better]], least[open_[better]] = here[better], size[better]
        on = size > tolerance_mm
        here, open_ = (here - error)[on], open_[on]
        if not len(open_):
            break
    return found, least


def _newton(forward: Forward, wanted: Tensor, here: Tensor, tolerance_mm: float) -> tuple[Tensor, Tensor]:
    error = forward(here) - wanted
    for _ in range(NEWTON_STEPS):
        if float(error.norm(dim=-1).max()) <= tolerance_mm:
            break
        step = torch.linalg.solve(_slopes(forward, here, tolerance_mm), error)
        for halving in range(HALVINGS):
            there = here - step / 2**halving
            after = forward(there) - wanted
            nearer = after.norm(dim=-1, keepdim=True) < error.norm(dim=-1, keepdim=True)
            here, error = torch.where(nearer, there, here), torch.where(nearer, after, error)
            step = torch.where(nearer, 0.0, step)
            if nearer.all():
                break
    return here, error.norm(dim=-1)


def _slopes(forward: Forward, points: Tensor, tolerance_mm: float) -> Tensor:
    """(N, D, D) Jacobians by central differences, a little of the identity added where one is flat."""
    size = points.shape[-1]
    steps = SLOPE_STEP * tolerance_mm * torch.eye(size, dtype=points.dtype)
    with torch.no_grad():
        columns = [
            (forward(points + step) - forward(points - step)) / (2 * SLOPE_STEP * tolerance_mm) for step in steps
        ]
    slopes = torch.stack(columns, dim=-1)
    flat = torch.linalg.det(slopes).abs() < 1e-3
    bettered: Tensor = slopes + 0.05 * flat[:, None, None] * torch.eye(size, dtype=points.dtype)
    return bettered
