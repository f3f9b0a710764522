"""A hospital's optimiser: one of torch's, with the clipping before its step and the proximal step after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_

from common.learning.client_work import Training
from common.learning.uncompiled import uncompiled

LEAST_AXES_OF_WEIGHTS = 2
"""Biases and the scales of a normalisation have one."""


@dataclass(frozen=True)
class LocalOptimiser:
    """parameters: all that learn. clip_norm: the most a gradient's L2 norm may be; None: any.

    threshold: by how much a step shrinks every weight at most, the learning rate times `training.l1`. warming: what
    lets the rate rise in the first steps; None: it stays.
    """

    inner: torch.optim.Optimizer | Plain
    parameters: list[nn.Parameter]
    clip_norm: float | None = None
    threshold: float = 0.0
    warming: WarmUp | None = None

    def zero_grad(self) -> None:
        """As torch's."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move the parameters by their gradients."""
        if self.clip_norm is not None:
            clip_grad_norm_(self.parameters, self.clip_norm)
        self.inner.step()
        if self.threshold:
            share = 1.0 if self.warming is None else self.warming.share
            shrink(weights_among(self.parameters), share * self.threshold)
        if self.warming is not None:
            self.warming.step()


class Plain:
    """theta - rate x gradient, to the bit as torch's SGD without momentum or decay; half of a small step's time went
    into what torch does around it. parameters: all that learn.

    looked_at_by: who is called before every step of any, as by torch's hook of its own optimisers.
    """

    looked_at_by: ClassVar[list[Callable[[Plain], None]]] = []

    def __init__(self, parameters: list[nn.Parameter], rate: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": parameters, "lr": rate}]

    @torch.no_grad()
    def step(self) -> None:
        """Of those that have a gradient."""
        for look in self.looked_at_by:
            look(self)
        for group in self.param_groups:
            moved = [one for one in group["params"] if one.grad is not None]
            if moved:
                torch._foreach_add_(moved, [one.grad for one in moved], alpha=-group["lr"])


@dataclass
class WarmUp:
    """The rate of the first steps, rising to the optimiser's own in equal parts. steps: how many are below it."""

    inner: torch.optim.Optimizer | Plain
    rate: float
    steps: int
    taken: int = 0

    def __post_init__(self) -> None:
        self._set()

    @property
    def share(self) -> float:
        """Of the rate, in the next step."""
        return min(1.0, (self.taken + 1) / (self.steps + 1))

    def step(self) -> None:
        """One was taken."""
        self.taken += 1
        self._set()

    def _set(self) -> None:
        for group in self.inner.param_groups:
            group["lr"] = self.rate * self.share


def new_optimiser(parameters: list[nn.Parameter], training: Training) -> LocalOptimiser:
    """The optimiser that the study names, with its settings."""
    is_plain = training.optimiser == "sgd" and not (training.momentum or training.weight_decay)
    inner = Plain(parameters, training.learning_rate) if is_plain else _inner(_groups(parameters, training), training)
    steps = training.warm_up_steps
    warming = WarmUp(inner, training.learning_rate, steps) if steps else None
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
        together = not decay  # decay of all at once would copy all gradients
        return uncompiled(optim.SGD)(
            groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov, foreach=together
        )
    if training.optimiser == "adam":
        return uncompiled(optim.Adam)(groups, lr=rate, weight_decay=decay)
    if training.optimiser == "adamw":
        return uncompiled(optim.AdamW)(groups, lr=rate, weight_decay=decay)
    if training.optimiser == "rmsprop":
        return uncompiled(optim.RMSprop)(groups, lr=rate, weight_decay=decay)
    return uncompiled(optim.Adagrad)(groups, lr=rate, weight_decay=decay)
