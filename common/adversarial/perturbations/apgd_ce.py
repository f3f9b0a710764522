"""Ascent that needs no choice of a step: it halves where nothing is gained and goes on from the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.adversarial.starts import chosen, shares
from common.study.checks import sized

MOST_STEPS, MOST_RESTARTS = 1000, 100
FIRST_CHECK, LEAST_BETWEEN, SHRINKS_BY = 0.22, 0.06, 0.03
"""Shares of all steps: until the step is first judged, least between two judgements, and by how much that shrinks."""
RISES_ENOUGH = 0.75
"""Share of steps since the last judgement that must have risen (rho)."""
NEW_SHARE = 0.75
"""Of a step in the direction of the gradient; the rest goes on where the last step went (alpha)."""


@dataclass(frozen=True)
class ApgdCe:
    """steps: of one ascent, by which also the times at which the step is judged are set. restarts: ascents, each from
    a random start of its own; each case keeps the one that raised its objective most.
    """

    source: ClassVar[str] = (
        "Croce and Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of diverse "
        "parameter-free attacks (ICML), algorithm 1"
    )
    sees: ClassVar[str] = "gradients"

    steps: int = 100
    restarts: int = 1

    def __post_init__(self) -> None:
        sized("perturbation 'apgd_ce'", MOST_STEPS, steps=self.steps)
        sized("perturbation 'apgd_ce'", MOST_RESTARTS, restarts=self.restarts)

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """Of all ascents, and the input itself, what misleads; where nothing does, what is of the highest value."""
        best = objective.inputs
        values = objective.values(best)
        kept = _Kept(best, values, _misled(objective, best, values))
        for _ in range(self.restarts):
            drawn = shares(draws, best)
            peaks = drawn.abs().flatten(1).amax(1).reshape(-1, *(1,) * (drawn.ndim - 1))
            start = room.in_range(objective.inputs + room.share(1.0, best) * drawn / peaks)
            kept = kept.better(self.ascended(objective, room, start))
        return kept.inputs

    def ascended(self, objective: Objective, room: Room, start: Tensor) -> _Kept:
        """From (N, ...) inputs, algorithm 1 of every case by itself."""
        inputs, size = objective.inputs, room.share(1.0, objective.inputs)
        least, most = inputs - size, inputs + size
        state = _Ascent.begun(objective, start, size)
        check, since = max(int(FIRST_CHECK * self.steps), 1), 0
        for index in range(self.steps):
            aimed = room.in_range((state.at + state.step * state.gradient.sign()).maximum(least).minimum(most))
            share = NEW_SHARE if index else 1.0
            moved = state.at + (aimed - state.at) * share + (state.at - state.before) * (1 - share)
            state.go(objective, room.in_range(moved.maximum(least).minimum(most)))
            since += 1
            if since == check:
                state.judge(check)
                shrunk = check - max(int(SHRINKS_BY * self.steps), 1)
                check = max(shrunk, int(LEAST_BETWEEN * self.steps), 1)
                since = 0
        return state.kept


@dataclass(frozen=True)
class _Kept:
    """inputs: (N, ...). values: (N,). misled: (N,) whether the model errs there."""

    inputs: Tensor
    values: Tensor
    misled: Tensor

    def better(self, other: _Kept) -> _Kept:
        """Of each case the one that misleads; where both do or neither, that of the higher value."""
        takes = (other.misled & ~self.misled) | ((other.misled == self.misled) & (other.values > self.values))
        return _Kept(
            chosen(takes, other.inputs, self.inputs),
            torch.where(takes, other.values, self.values),
            self.misled | other.misled,
        )


def _misled(objective: Objective, inputs: Tensor, values: Tensor) -> Tensor:
    """(N,) as far as the objective tells."""
    if objective.misled is None:
        return values > objective.enough
    with torch.no_grad():
        return objective.misled(inputs).bool()


@dataclass
class _Ascent:
    """Where every case is, whence it came, and the best that it saw. rises: since the last judgement."""

    at: Tensor
    before: Tensor
    gradient: Tensor
    values: Tensor
    step: Tensor
    best: Tensor
    best_gradient: Tensor
    best_values: Tensor
    checked_values: Tensor
    was_halved: Tensor
    rises: Tensor
    kept: _Kept

    @classmethod
    def begun(cls, objective: Objective, start: Tensor, size: Tensor) -> _Ascent:
        """At the start, with a step of twice the size."""
        values, gradient = objective.climbed(start)
        step = (2.0 * size).expand(start.shape).clone()
        kept = _Kept(start, values, _misled(objective, start, values))
        halved, none = torch.ones_like(values, dtype=torch.bool), torch.zeros_like(values)
        # AutoAttack compares the first step's value with 0, as if that had been the start's.
        return cls(start, start, gradient, none, step, start, gradient, values, values, halved, none, kept)

    def go(self, objective: Objective, moved: Tensor) -> None:
        """One step to `moved`."""
        values, gradient = objective.climbed(moved)
        higher = values > self.best_values
        self.before, self.at, self.gradient = self.at, moved, gradient
        self.rises = self.rises + (values > self.values)
        self.best, self.best_gradient = chosen(higher, moved, self.best), chosen(higher, gradient, self.best_gradient)
        self.best_values, self.values = values.maximum(self.best_values), values
        self.kept = self.kept.better(_Kept(moved, values, _misled(objective, moved, values)))

    def judge(self, steps: int) -> None:
        """Conditions 1 and 2: where too few steps rose, or nothing was gained at the same step, halve and go back."""
        stuck = ~self.was_halved & (self.checked_values >= self.best_values)
        halved = (self.rises <= steps * RISES_ENOUGH) | stuck
        self.step = chosen(halved, self.step / 2, self.step)
        self.at, self.gradient = chosen(halved, self.best, self.at), chosen(halved, self.best_gradient, self.gradient)
        self.was_halved, self.checked_values = halved, self.best_values
        self.rises = torch.zeros_like(self.rises)


perturbation: type[Perturbation] = ApgdCe
