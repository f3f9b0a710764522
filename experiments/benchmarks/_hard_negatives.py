"""Which share of the contrastive loss's gradient the most alike negatives have, by the formula and by autograd.

Of the view i, the derivative of its term by the similarity to a view k of another case is p_ik / tau, with p_ik the
softmax over all similarities but the own: relative weights of negatives are exp(s_ik / tau) over their sum (Wang and
Liu 2021, "Understanding the behaviour of contrastive loss", equation 5).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from common.data.cases import Cases
from common.selfsupervision.contrast import nt_xent

TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0)
HARDEST = 0.1
CASES = 48
STEP = 1e-4
"""Of length 1 so much more changes similarities by its square, 1e-8."""


def weights_of(network: nn.Module, task: Any, cases: Cases, temperature: float) -> tuple[float, float]:
    """Mean share over views, by the formula and measured, of CASES cases."""
    first, second = projections(network, task, cases)
    return by_formula(first, second, temperature), by_gradient(first, second, temperature)


def projections(network: nn.Module, task: Any, cases: Cases) -> tuple[Tensor, Tensor]:
    """(CASES, D) float64 of both views, of unit length."""
    found = task.answered(network.eval(), cases.batch(slice(0, CASES)))
    return normalize(found["first_view"], dim=1), normalize(found["second_view"], dim=1)


def by_formula(first: Tensor, second: Tensor, temperature: float) -> float:
    """From similarities alone."""
    views, count = torch.cat([first, second]), len(first)
    alike = (views @ views.T)[~_pairs(count)].reshape(2 * count, -1)
    return _of_hardest(alike, (alike / temperature).softmax(1))


def by_gradient(first: Tensor, second: Tensor, temperature: float) -> float:
    """By differentiating the loss as it is trained."""
    views, count = torch.cat([first, second]), len(first)
    alike = (views @ views.T)[~_pairs(count)].reshape(2 * count, -1)
    rows = [_derivatives(views, place, temperature)[~_pairs(count)[place]] for place in range(2 * count)]
    return _of_hardest(alike, torch.stack(rows))


def _derivatives(views: Tensor, place: int, temperature: float) -> Tensor:
    """(2N,) of the loss of one view, by its similarity to each view, all times the same number.

    The view gets a small coordinate that no other has: along it others move towards this view, and to nothing else.
    """
    count = len(views) // 2
    moved = torch.cat([views, views.new_zeros(2 * count, 1)], 1)
    moved[place, -1] = STEP
    moved.requires_grad_()
    losses = nt_xent(moved[:count], moved[count:], temperature)
    gradient: Tensor = torch.autograd.grad(losses[place % count], moved)[0]
    return gradient[:, -1]


def _pairs(count: int) -> Tensor:
    return torch.eye(count, dtype=torch.bool).repeat(2, 2)


def _of_hardest(alike: Tensor, weights: Tensor) -> float:
    most = max(1, round(HARDEST * alike.shape[1]))
    hardest = alike.topk(most, 1).indices
    return float((weights.gather(1, hardest).sum(1) / weights.sum(1)).mean())
