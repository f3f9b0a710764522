"""A hospital's optimiser: one of torch's, with the clipping before its step and the proximal step after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from common.learning.client_work import Training

LEAST_AXES_OF_WEIGHTS = 2
"""Biases and the scales of a normalisation have one."""


@dataclass(frozen=True)
class LocalOptimiser:
    """parameters: all that learn. clip_norm: the most a gradient's L2 norm may be; None: any.

    threshold: by how much a step shrinks every weight at most, the learning rate times `training.l1`. warming: what
    lets the rate rise in the first steps; None: it stays.
    """

    inner: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    clip_norm: float | None = None
    threshold: float = 0.0
    warming: LambdaLR | None = None

    def zero_grad(self) -> None:
        """As torch's."""
        self.inner.zero_grad()

    def step(self) -> None:
        """Move the parameters by their gradients."""
        if self.clip_norm is not None:
            clip_grad_norm_(self.parameters, self.clip_norm)
        self.inner.step()
        if self.threshold:
            share = 1.0 if self.warming is None else self.warming.lr_lambdas[0](self.warming.last_epoch)
            shrink(weights_among(self.parameters), share * self.threshold)
        if self.warming is not None:
            self.warming.step()


def new_optimiser(parameters: list[nn.Parameter], training: Training) -> LocalOptimiser:
    """The optimiser that the study names, with its settings."""
    inner, steps = _inner(_groups(parameters, training), training), training.warm_up_steps
    warming = LambdaLR(inner, lambda taken: min(1.0, (taken + 1) / (steps + 1))) if steps else None
    return LocalOptimiser(
        inner,
        parameters,
        training.clip_gradient_norm,
        training.learning_rate * training.l1,
        warming,
    )


def shrink(weights: Iterable[nn.Parameter], threshold: float) -> None:
    """sign(w) max(|w| - threshold, 0), in place: the proximal step of threshold * |w|."""
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.nn.functional.softshrink(weight, threshold))


def weights_among(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those that are penalised as weights: of two axes or more."""
    return [parameter for parameter in parameters if parameter.ndim >= LEAST_AXES_OF_WEIGHTS]


def _groups(parameters: list[nn.Parameter], training: Training) -> list[nn.Parameter] | list[dict[str, Any]]:
    if training.decayed == "all":
        return parameters
    others = [parameter for parameter in parameters if parameter.ndim < LEAST_AXES_OF_WEIGHTS]
    groups: list[dict[str, Any]] = [{"params": weights_among(parameters)}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _inner(groups: list[nn.Parameter] | list[dict[str, Any]], training: Training) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimiser == "sgd":
        momentum, nesterov = training.momentum, training.nesterov
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    if training.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay)
    if training.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    if training.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, lr=rate, weight_decay=decay)
    return torch.optim.Adagrad(groups, lr=rate, weight_decay=decay)
