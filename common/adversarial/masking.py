"""Whether a model withstands, or only hides the way: signs of masked gradients (Athalye et al. 2018, section 3.1).

A model that rounds its inputs, or whose answers are saturated, gives ascent nothing to follow. It looks robust to
FGSM and PGD then, and is misled by whoever asks for answers alone. The signs compare, case by case, what several ways
of moving the same cases found; which are compared is said in each sign's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
import torch
from torch import Tensor, nn

from common.adversarial.aims import has_margin, loss_of, margin_of
from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.perturbations.apgd_ce import ApgdCe
from common.adversarial.perturbations.fgsm import Fgsm
from common.adversarial.perturbations.pgd import Pgd
from common.adversarial.perturbations.square import Square
from common.adversarial.room import Room
from common.data.cases import Batch
from common.errors import StudyError
from common.learning.task import Task
from common.seeding import case_generators, generator

CHANCE = 0.01
"""Of a sign where there is nothing, for each of them."""
SAME = 0.02
"""Of what the stronger of two ways gained: a smaller difference counts as none."""
MISLED_AT_LEAST = 0.95
"""Of cases that any model of the inputs is misled of, where every value may be anything."""
LEAST_FALL = 0.02
"""Points by which one score must be below another, beside twice the standard error of the difference."""

ONE_STEP, MANY_STEPS, MORE_STEPS, BEST_STEPS, ANSWERS, UNBOUNDED = (
    "one step", "many steps", "four times as many steps", "steps of their own length", "answers alone", "no bound",
)  # fmt: skip


@dataclass(frozen=True)
class Sign:
    """name: in one word. words: a sentence."""

    name: str
    words: str


@dataclass(frozen=True)
class Probed:
    """clean: (N,) values of what is raised, higher being worse, of cases as they are. values: (N,) by the way that
    moved them. has_margin: whether a value above 0 says that a case is misled.
    """

    clean: Tensor
    values: Mapping[str, Tensor]
    has_margin: bool

    def signs(self) -> tuple[Sign, ...]:
        """Of masking; () where nothing points to it."""
        rules = (self._hidden, self._one_step, self._more_steps, self._unbounded)
        return tuple(found for found in (rule() for rule in rules) if found is not None)

    def _hidden(self) -> Sign | None:
        white = torch.stack([self.values[way] for way in (ONE_STEP, MANY_STEPS, MORE_STEPS, BEST_STEPS)]).amax(0)
        if not self._is_above(self.values[ANSWERS], white):
            return None
        return Sign("hidden", "Who asks for answers alone misleads the model more than who knows all that is in it.")

    def _one_step(self) -> Sign | None:
        if not self._is_above(self.values[ONE_STEP], self.values[MANY_STEPS]):
            return None
        return Sign("one_step", "One step misleads it more than many: the way up ends where it begins.")

    def _more_steps(self) -> Sign | None:
        if not self._is_above(self.values[MANY_STEPS], self.values[MORE_STEPS]):
            return None
        return Sign("more_steps", "Four times as many steps mislead it less: they do not follow a slope.")

    def _unbounded(self) -> Sign | None:
        misled = float((self.values[UNBOUNDED] > 0).double().mean()) if self.has_margin else 1.0
        if misled >= MISLED_AT_LEAST:
            return None
        return Sign(
            "unbounded",
            f"Where every value may be anything, ascent still misleads it of only {misled:.0%} of cases.",
        )

    def _is_above(self, first: Tensor, second: Tensor) -> bool:
        """Whether the first is higher in most cases, and in so many more that chance would not do it (sign test)."""
        near = SAME * (torch.maximum(first, second) - self.clean).abs().clamp(min=1e-9)
        higher, lower = int((first > second + near).sum()), int((second > first + near).sum())
        return higher > lower and higher >= len(self.clean) / 4 and tail(higher, higher + lower) < CHANCE


def tail(successes: int, tries: int) -> float:
    """Chance of at least so many heads of a fair coin."""
    ways: int = sum(comb(tries, count) for count in range(successes, tries + 1))
    return float(ways / 2**tries)


def probed(task: Task, network: nn.Module, batch: Batch, room: Room, queries: int = 200, seed: int = 0) -> Probed:
    """Cases moved in every way that signs compare. The network learns nothing; in evaluation mode it should be.

    Raises StudyError where there is no case.
    """
    if not len(batch):
        raise StudyError("there is no case to look for masked gradients with.")
    loss = loss_of(task, network, batch)
    margin = margin_of(task, network, batch) if has_margin(task, batch) else loss
    bounded = _is_bounded(room)
    anything = Room(room.high - room.low, room.low, room.high) if bounded else room
    ways: Mapping[str, tuple[Perturbation, Objective, Room]] = {
        ONE_STEP: (Fgsm(), loss, room),
        MANY_STEPS: (Pgd(steps=10), loss, room),
        MORE_STEPS: (Pgd(steps=40, step_share=0.1), loss, room),
        BEST_STEPS: (ApgdCe(steps=40), loss, room),
        ANSWERS: (Square(queries), Objective(margin.inputs, margin.raised), room),
        UNBOUNDED: (Pgd(steps=40, step_share=0.1), loss, anything),
    }
    found = {}
    for name, (way, objective, within) in ways.items():
        draws = case_generators(generator(seed, name, "masking"), len(batch))
        found[name] = margin.values(_moved(way, objective, within, draws))
    return Probed(margin.values(batch.inputs), found, bounded and margin.enough == 0.0)


def _is_bounded(room: Room) -> bool:
    return bool(torch.isfinite(room.low).all() and torch.isfinite(room.high).all())


def _moved(way: Perturbation, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
    """Inputs as they are where nothing can be followed: the surest sign of all."""
    try:
        return way.move(objective, room, draws)
    except StudyError:
        return objective.inputs


@dataclass(frozen=True)
class Scored:
    """score: higher is better, of cases that one way has moved. sees: "gradients" or "answers"."""

    name: str
    sees: str
    score: float


def signs_of_scores(scored: Sequence[Scored], cases: int) -> tuple[Sign, ...]:
    """What scores alone tell, of the same cases and size: less than values of each case do."""
    by_name = {one.name: one.score for one in scored}
    white = [one.score for one in scored if one.sees == "gradients"]
    black = [one for one in scored if one.sees == "answers"]
    found = []
    for one in black:
        if white and _is_below(one.score, min(white), cases):
            words = (
                f"{one.name}, which asks for answers alone, leaves a score of {one.score:.2f}, and the best that "
                f"follows gradients {min(white):.2f}: the model hides them, and does not withstand."
            )
            found.append(Sign("hidden", words))
    if {"fgsm", "pgd"} <= by_name.keys() and _is_below(by_name["fgsm"], by_name["pgd"], cases):
        words = (
            f"one step leaves a score of {by_name['fgsm']:.2f}, and many steps {by_name['pgd']:.2f}: the way up that "
            "is followed leads nowhere."
        )
        found.append(Sign("one_step", words))
    return tuple(found)


def _is_below(first: float, second: float, cases: int) -> bool:
    return first < second - LEAST_FALL - 2 * sqrt(0.5 / max(cases, 1))
