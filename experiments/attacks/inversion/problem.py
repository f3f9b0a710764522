"""One gradient to invert: everything a search needs, and what it comes back with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from common.learning.device import has_float64
from experiments.attacks.inversion.differentiable_client import Parts, Victim
from experiments.evidence.budget import Budget

MOST_PRECISE_VALUES = 1 << 17
"""Of all inputs searched at once."""


@dataclass(frozen=True)
class InversionProblem:
    """victim: the network. captured: its gradient, or the change of local training, averaged over the cases.

    inputs: the shape (N, ...) to find. truth: the shape of the probabilities of classes. labels: (N,) where they
    are known or were recovered; where None they are searched together with the inputs. in_float64: whether the
    task's loss can be computed so.
    """

    victim: Victim
    captured: Parts
    inputs: tuple[int, ...]
    truth: tuple[int, ...]
    labels: NDArray[np.int64] | None = None
    in_float64: bool = True

    def precise(self) -> InversionProblem:
        """The same in float64, for L-BFGS to go on longer; large volumes as they are, for a step takes 8 times."""
        if not self.in_float64 or not has_float64(self.victim.device) or prod(self.inputs) > MOST_PRECISE_VALUES:
            return self
        return replace(self, victim=self.victim.double(), captured=tuple(part.double() for part in self.captured))

    def on(self, device: torch.device) -> InversionProblem:
        """The same on a device."""
        return replace(self, victim=self.victim.on(device), captured=tuple(part.to(device) for part in self.captured))

    def random_guess(self, generator: torch.Generator, deviation: float = 1.0) -> Guess:
        """Inputs of normal noise; where labels are not known, logits near zero."""
        inputs = deviation * torch.randn(self.inputs, generator=generator)
        return self.guess(inputs, generator)

    def guess(self, inputs: Tensor, generator: torch.Generator) -> Guess:
        """A guess that begins at these inputs."""
        device, dtype = self.victim.device, self.victim.dtype
        inputs = inputs.to(device, dtype).requires_grad_(True)
        if self.labels is not None:
            known = one_hot(torch.from_numpy(self.labels), self.truth[1]).to(device, dtype)
            return Guess(inputs, known)
        if 0 in self.truth:
            return Guess(inputs, torch.zeros(self.truth, dtype=self.victim.dtype))
        logits = 0.1 * torch.randn(self.truth, generator=generator)
        return Guess(inputs, None, logits.to(device, dtype).requires_grad_(True))


@dataclass(frozen=True)
class Guess:
    """Inputs that are moved, and either known truth or logits of it that are moved with them."""

    inputs: Tensor
    known: Tensor | None
    logits: Tensor | None = None

    @property
    def unknowns(self) -> list[Tensor]:
        """The tensors to move, the inputs first."""
        return [self.inputs] if self.logits is None else [self.inputs, self.logits]

    @property
    def truth(self) -> Tensor:
        """Probabilities of the classes."""
        if self.known is not None:
            return self.known
        assert self.logits is not None
        return self.logits.softmax(1)

    def to(self, dtype: torch.dtype) -> Guess:
        """A copy to be moved on."""
        logits = None if self.logits is None else self.logits.detach().to(dtype, copy=True).requires_grad_(True)
        known = None if self.known is None else self.known.to(dtype)
        return Guess(self.inputs.detach().to(dtype, copy=True).requires_grad_(True), known, logits)


@dataclass(frozen=True)
class Attempt:
    """inputs: (N, ...). truth: probabilities of the classes. distance: of the gradients, by the attack's measure.

    Both are on the CPU. of_images: whether inputs are images as a person sees them, (N, C, *S), in the place of what
    a network is shown.
    """

    inputs: Tensor
    truth: Tensor
    distance: float
    restarts: int = field(default=1)
    of_images: bool = False

    @classmethod
    def of(cls, guess: Guess, distance: float) -> Attempt:
        """What a guess has come to."""
        return cls(guess.inputs.detach().float().cpu(), guess.truth.detach().float().cpu(), distance)


Search = Callable[[InversionProblem, torch.Generator, Budget], Attempt]
"""From random noise to an attempt, within the budget."""


def best_of_restarts(
    problem: InversionProblem, generator: torch.Generator, budget: Budget, restarts: int, once: Search
) -> Attempt:
    """The attempt of the smallest distance; at least one is made, each with its share of the seconds."""
    attempts: list[Attempt] = []
    for remaining in _countdown(restarts, budget):
        attempts.append(once(problem, generator, budget.part(1 / remaining)))
    return replace(closest(attempts), restarts=len(attempts))


def closest(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt of the smallest distance that is a number."""
    return min(attempts, key=lambda one: one.distance if np.isfinite(one.distance) else np.inf)


def _countdown(restarts: int, budget: Budget) -> Iterator[int]:
    for remaining in range(restarts, 0, -1):
        if remaining == restarts or budget.left > 0:
            yield remaining
