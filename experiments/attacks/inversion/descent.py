"""Moving a guess downhill: Adam by the sign of the gradient, and L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import torch
from torch import Tensor

from common.learning.uncompiled import uncompiled
from experiments.evidence.budget import Budget

Sign = Literal["hard", "soft", "none"]
Objective = Callable[[float], Tensor]
"""From the progress, 0 to 1, to what is to be made small."""

Box = tuple[float, float]
HISTORY, STEPS_A_TURN = 50, 5
NO_PROGRESS = 1e-9


def adam(
    objective: Objective,
    unknowns: Sequence[Tensor],
    iterations: int,
    budget: Budget,
    *,
    rate: float,
    schedule: Callable[[float], float],
    sign: Sign,
    box: Box | None = None,
) -> float:
    """Adam on the sign of the gradient (Geiping et al. 2020, section 4); leaves the best found in `unknowns`.

    schedule: factor of the rate by progress. sign: "soft" is tanh(s g) / s with s falling to zero, so that steps
    follow the sign at first and the gradient at last. box: the first unknown is kept within. Returns the objective
    of the best.
    """
    optimiser = uncompiled(torch.optim.Adam)(list(unknowns), lr=rate)
    best, lowest, iteration = [one.detach().clone() for one in unknowns], float("inf"), 0
    while (progress := budget.progress(iteration, iterations)) < 1 or iteration == 0:
        value = objective(progress)
        if not torch.isfinite(value):
            break
        if value.item() < lowest:
            best, lowest = [one.detach().clone() for one in unknowns], value.item()
        for one, gradient in zip(unknowns, _gradients(value, unknowns), strict=True):
            one.grad = _signed(gradient, sign, progress)
        optimiser.param_groups[0]["lr"] = rate * schedule(progress)
        optimiser.step()
        if box is not None:
            unknowns[0].detach().clamp_(*box)
        iteration += 1
    _set(unknowns, best)
    return lowest


def _signed(gradient: Tensor, sign: Sign, progress: float) -> Tensor:
    if sign == "hard":
        return gradient.sign()
    if sign == "none":
        return gradient
    scale = max(1 - progress, 1e-3)
    return (gradient * scale).tanh() / scale


class _TimeOverError(Exception):
    """The seconds are over in the middle of a line search, which on a volume may take minutes to end."""


def lbfgs(objective: Callable[[], Tensor], unknowns: Sequence[Tensor], iterations: int, budget: Budget) -> float:
    """L-BFGS with a strong Wolfe line search; leaves the best found in `unknowns` and returns its objective."""
    optimiser = uncompiled(torch.optim.LBFGS)(
        list(unknowns),
        max_iter=STEPS_A_TURN,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )
    best, lowest = [one.detach().clone() for one in unknowns], float("inf")

    def evaluate() -> Tensor:
        nonlocal best, lowest
        if budget.left <= 0 and lowest < float("inf"):
            raise _TimeOverError
        value = objective()
        for one, gradient in zip(unknowns, _gradients(value, unknowns), strict=True):
            one.grad = gradient
        if value.item() < lowest:
            best, lowest = [one.detach().clone() for one in unknowns], value.item()
        return value

    for turn in range(-(-iterations // STEPS_A_TURN)):
        before = lowest
        with suppress(_TimeOverError):
            optimiser.step(evaluate)  # type: ignore[no-untyped-call]
        if budget.left <= 0 or not lowest < before * (1 - NO_PROGRESS) or lowest == 0:
            break
        if not all(torch.isfinite(one).all() for one in unknowns) and turn:
            break
    _set(unknowns, best)
    return lowest


def _gradients(value: Tensor, unknowns: Sequence[Tensor]) -> Sequence[Tensor]:
    """Zeros for truth that a task without labels never looks at."""
    return torch.autograd.grad(value, list(unknowns), allow_unused=True, materialize_grads=True)


def _set(unknowns: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for one, value in zip(unknowns, values, strict=True):
            one.copy_(value)


def falling_by_tenths(progress: float) -> float:
    """1, then a tenth after 3/8, 5/8 and 7/8 of the way each (the schedule of Geiping et al. 2020)."""
    return float(0.1 ** sum(progress >= share for share in (3 / 8, 5 / 8, 7 / 8)))
