"""Cases of a hospital with inputs that somebody moved on purpose, within a size, and a model's scores on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.objective import Objective, PerCase
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.adversarial.starts import shares
from common.data.cases import Batch, Cases, SiteId
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import PERTURBATIONS
from common.study.options import Entry
from experiments.withstanding.scored import scored

MOST_AT_ONCE = 1 << 21
"""Values of the inputs that are moved together."""


@dataclass(frozen=True)
class Range:
    """low, high, unit: of the inputs' values, which broadcast to one; sizes are in units: the span of an image, one
    deviation of each column of a table. words: what a size is a multiple of.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unit: NDArray[np.float64]
    words: str

    @classmethod
    def of(cls, tests: Mapping[SiteId, Cases]) -> Range:
        """Of all hospitals' cases together."""
        every = [case.astype(np.float64) for cases in tests.values() for case in cases.pieces("inputs")]
        if every[0].ndim == 1:
            rows = np.stack(every)
            return cls(rows.min(0), rows.max(0), rows.std(0), "standard deviations of each column")
        low, high = np.array(min(map(np.min, every))), np.array(max(map(np.max, every)))
        return cls(low, high, high - low, "of the range of values")

    def room(self, size: float) -> Room:
        """Of changes of so many units."""
        low, high, unit = (torch.from_numpy(np.array(one, np.float64)) for one in (self.low, self.high, self.unit))
        return Room(size * unit, low, high)


@dataclass(frozen=True)
class Chance:
    """Every value is moved by all that is allowed, up or down, whichever chance decides; nobody chooses the worst."""

    source: ClassVar[str] = "Fawzi et al. 2016, Robustness of classifiers: from adversarial to random noise (NeurIPS)"
    sees: ClassVar[str] = "answers"

    def move(self, objective: Objective, room: Room, draws: Sequence[np.random.Generator]) -> Tensor:
        """x + size times a drawn sign."""
        inputs = objective.inputs
        return room.in_range(inputs + room.share(1.0, inputs) * shares(draws, inputs).sign())


CHANCE = "chance"


@dataclass(frozen=True)
class Moves:
    """Scores of one way to mislead. rows: by hospital, at 0 and at every size."""

    perturbation: str
    source: str
    score: str
    rows: Mapping[SiteId, tuple[float | None, ...]]

    @property
    def mean(self) -> tuple[float | None, ...]:
        """Over hospitals, each counting one."""
        known = [[one for one in column if one is not None] for column in zip(*self.rows.values(), strict=True)]
        return tuple(sum(column) / len(column) if column else None for column in known)


def moves(
    entry: Entry,
    task: Task,
    network: nn.Module,
    tests: Mapping[SiteId, Cases],
    allowed: Range,
    sizes: tuple[float, ...],
    seed: int,
) -> Moves:
    """Of every hospital and size. Raises StudyError where the loss does not depend on the inputs."""
    perturbation = cast(Perturbation, Chance() if entry.name == CHANCE else PERTURBATIONS.build(entry))
    name, rows = task.headline, {}
    for site, cases in tests.items():
        name, first = scored(task, network, cases)
        found = [first]
        for size in sizes:
            changed = moved(cases, task, network, perturbation, allowed.room(size), (seed, site))
            found.append(scored(task, network, changed)[1])
        rows[site] = tuple(found)
    return Moves(entry.name, perturbation.source, name, rows)


def moved(
    cases: Cases, task: Task, network: nn.Module, perturbation: Perturbation, room: Room, seed: tuple[int, str]
) -> Cases:
    """The same cases, each moved to where the task's loss is larger."""
    found: dict[int, NDArray[np.float32]] = {}
    for indices in _pieces(cases):
        batch = cases.batch(indices)
        draws = [generator(seed[0], seed[1], index, "misleading") for index in indices.tolist()]
        objective = Objective(batch.inputs, _loss(task, network, batch))
        inputs = perturbation.move(objective, room.around(batch.inputs), draws).detach().numpy()
        found |= dict(zip(indices.tolist(), inputs, strict=True))
    return cases.with_columns(inputs=_column([found[index] for index in range(len(cases))]))


def _loss(task: Task, network: nn.Module, batch: Batch) -> PerCase:
    return lambda inputs: task.loss(network, batch.with_columns(inputs=inputs))


def _pieces(cases: Cases) -> Iterator[NDArray[np.int64]]:
    """Numbers of cases of one shape, as many as fit."""
    shapes = [case.shape for case in cases.pieces("inputs")]
    for shape in dict.fromkeys(shapes):
        own = np.array([index for index, other in enumerate(shapes) if other == shape], np.int64)
        many = max(1, MOST_AT_ONCE // max(1, int(np.prod(shape))))
        yield from (own[begin : begin + many] for begin in range(0, len(own), many))


def _column(values: list[NDArray[Any]]) -> NDArray[Any] | list[NDArray[Any]]:
    return np.stack(values) if len({one.shape for one in values}) == 1 else values


def size_words(size: float) -> str:
    """Sizes of images are told in 255ths, as everybody does."""
    of_255 = size * 255
    return "nothing" if not size else f"{of_255:.0f}/255" if abs(of_255 - round(of_255)) < 1e-9 else f"{size:g}"
