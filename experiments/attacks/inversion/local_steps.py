"""Steps of a hospital's optimiser, differentiable by the gradients: the rules of torch.optim, with its defaults.

Adam: Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, algorithm 1; its weight decay is added to the
gradient. AdamW: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor

from common.learning.client_work import Training

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""beta_1, beta_2 and epsilon of Adam, as torch.optim has them and the hospitals leave them."""
ROOT_FLOOR = 1e-32
"""Below every root: at zero its derivative is infinite, and times the zero of the square it is not a number. Its own
root is 1e-16, a millionth of epsilon even where bias correction divides it by sqrt(1 - beta_2), so values stay."""


@dataclass(frozen=True)
class Moving:
    """One parameter on its way. first: Adam's first moment, or the velocity of SGD. second: Adam's. steps: taken."""

    value: Tensor
    first: Tensor | None = None
    second: Tensor | None = None
    steps: int = 0


Step = Callable[[Moving, Tensor], Moving]
"""From a parameter and its gradient, proximal term included, to the parameter after one step."""


def not_simulated(training: Training) -> str:
    """Which part of local training no step here stands for; empty where they are the hospital's own."""
    plain = Training()
    if training.optimiser in ("rmsprop", "adagrad"):
        return f"steps of optimiser {training.optimiser!r} are not simulated"
    others = ("nesterov", "decayed", "l1", "clip_gradient_norm", "sampling", "warm_up_steps")
    changed = next((name for name in others if getattr(training, name) != getattr(plain, name)), None)
    if changed is None and training.class_weights == "own":
        changed = "class_weights"
    return f"steps with training.{changed} are not simulated" if changed else ""


def steps_of(training: Training, softness: float = 0.0) -> Step:
    """The step that client.training takes by `training.optimiser`.

    softness: 0 for the step as it is. An Adam step is nearly the sign of a gradient, so it hardly moves with the
    inputs; above 0, that share of the root mean square over the parameter is added to epsilon, and it does. SGD has
    no use for it.
    """
    rate, decay, momentum = training.learning_rate, training.weight_decay, training.momentum
    if training.optimiser == "sgd":
        return lambda moving, gradient: _sgd(moving, gradient + decay * moving.value, rate, momentum)
    if training.optimiser == "adam":
        return lambda moving, gradient: _adam(moving, gradient + decay * moving.value, rate, softness)
    return lambda moving, gradient: _adam(_shrunk(moving, 1 - rate * decay), gradient, rate, softness)


def _sgd(moving: Moving, gradient: Tensor, rate: float, momentum: float) -> Moving:
    velocity = gradient if moving.first is None else momentum * moving.first + gradient
    return replace(moving, value=moving.value - rate * velocity, first=velocity, steps=moving.steps + 1)


def _adam(moving: Moving, gradient: Tensor, rate: float, softness: float) -> Moving:
    steps = moving.steps + 1
    first = _averaged(moving.first, gradient, FIRST_DECAY)
    second = _averaged(moving.second, gradient.square(), SECOND_DECAY)
    size = (second + ROOT_FLOOR).sqrt() / sqrt(1 - SECOND_DECAY**steps) + EPSILON
    if softness:
        size = size + softness * (second.mean() + ROOT_FLOOR).sqrt() / sqrt(1 - SECOND_DECAY**steps)
    value = moving.value - rate / (1 - FIRST_DECAY**steps) * first / size
    return Moving(value, first, second, steps)


def _averaged(mean: Tensor | None, value: Tensor, decay: float) -> Tensor:
    before = torch.zeros_like(value) if mean is None else mean
    return decay * before + (1 - decay) * value


def _shrunk(moving: Moving, factor: float) -> Moving:
    return replace(moving, value=factor * moving.value)
