"""Test cases moved to where the final model errs, within a size and a range, by the ways that train against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import answering, objective_of
from common.adversarial.inner_step import not_learning
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.data.cases import Cases, SiteId
from common.learning.abilities import abilities, can, no_guessed_loss
from common.learning.device import home, placed
from common.learning.parameters import write
from common.learning.task import Task
from common.seeding import case_generators
from experiments.attack import Evasion, Finding
from experiments.evidence.budget import Budget
from experiments.observation import Observation

SIZES = (0.01, 0.05, 0.1)
"""Largest change of any value, as a share of the range that values have."""
MOST_CASES, MOST_VALUES = 64, 1 << 20
"""Of a hospital's test cases, and of their inputs in all: they are attacked at once, and must fit into memory."""


READS = "reads"
"""Setting of a finding: "gradients", or "answers" alone."""


@dataclass(frozen=True)
class Range:
    """low, high: that values have, by channel of an image or by column of a table; they broadcast to an input."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, observed: Observation) -> Range:
        """Of all test cases, and of the population where there is one: all data that the attacker has."""
        given = [*observed.access.tests.values()]
        given += [observed.access.population] if observed.access.population is not None else []
        ends = [_ends(case) for cases in given for case in cases.pieces("inputs")]
        low, high = np.min([one for one, _ in ends], axis=0), np.max([one for _, one in ends], axis=0)
        return cls(torch.from_numpy(low), torch.from_numpy(high))

    def to(self, device: torch.device) -> Range:
        """The same on a device."""
        return Range(self.low.to(device), self.high.to(device))

    @property
    def width(self) -> Tensor:
        """Between both."""
        return self.high - self.low

    def room(self, size: float) -> Room:
        """For changes of at most so large a share of the range."""
        return Room(size * self.width, self.low, self.high)


def _ends(case: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of one input: (C, 1, ...) of an image's channels, (F,) of a table's row."""
    axes = tuple(range(1, case.ndim))
    return case.min(axis=axes, keepdims=True), case.max(axis=axes, keepdims=True)


def evade(
    name: str, attack: Any, observed: Observation, seconds: float, way: Perturbation, rng: np.random.Generator
) -> Finding:
    """The finding of every hospital's test cases moved by every size, as many as there are seconds for."""
    if reason := _missing(observed):
        return Finding(name, observed.observer, False, reason)
    task, budget, network = observed.study.build_task(), Budget(seconds), placed(observed.network())
    write(network, observed.final_model)
    network.eval()
    allowed = Range.of(observed).to(home(network))
    claims: list[Evasion] = []
    with not_learning(network):
        for site, cases in observed.access.tests.items():
            for size in SIZES if not claims or budget.left else ():
                claims.append(_moved(site, size, cases, network, task, allowed, way, rng))
    settings = {**asdict(attack), READS: way.sees, "sizes": list(SIZES), "range": _told(allowed), "cases": MOST_CASES}
    return Finding(name, observed.observer, True, seconds=budget.spent, settings=settings, claims=tuple(claims))


def _moved(
    site: SiteId,
    size: float,
    cases: Cases,
    network: nn.Module,
    task: Task,
    allowed: Range,
    way: Perturbation,
    rng: np.random.Generator,
) -> Evasion:
    found: dict[int, NDArray[np.float32]] = {}
    for indices in _by_shape(cases, tried(cases)):
        batch = cases.batch(indices).to(home(network))
        moved = way.move(
            objective_of(way, task, network, batch), allowed.room(size), case_generators(rng, len(batch))
        )
        found |= dict(zip(indices.tolist(), moved.cpu().numpy(), strict=True))
    inputs = tuple(found[index] for index in sorted(found))
    return Evasion(site, size, inputs, allowed.low.cpu().numpy(), allowed.high.cpu().numpy())


def tried(cases: Cases) -> int:
    """How many of a hospital's tests are moved."""
    return min(len(cases), MOST_CASES, max(1, MOST_VALUES // max(1, cases.most_values)))


def _by_shape(cases: Cases, count: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the first cases, those of one shape together."""
    shapes = [cases.columns["inputs"].gather(slice(index, index + 1))[0].shape for index in range(count)]
    for shape in dict.fromkeys(shapes):
        yield np.array([index for index, own in enumerate(shapes) if own == shape], np.int64)


def _missing(observed: Observation) -> str:
    """Why there is no loss to raise; empty where there is one."""
    if not observed.access.tests:
        return "no hospital has test cases"
    task = answering(observed.study.build_task())
    if can(task, "label_space") and not prod(abilities(task).label_space(observed.shape)):
        return "the study learns no diagnosis or other truth, so there is none to be led away from"
    return no_guessed_loss(task)


def _told(allowed: Range) -> list[float]:
    """The widest of all channels or columns."""
    return [float(allowed.low.min()), float(allowed.high.max())]
