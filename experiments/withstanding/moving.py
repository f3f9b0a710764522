"""Cases of a hospital with inputs that somebody moved on purpose, within a size, and a model's scores on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.adversarial.aims import objective_of
from common.adversarial.inner_step import not_learning
from common.adversarial.objective import Objective
from common.adversarial.perturbation import Perturbation
from common.adversarial.room import Room
from common.adversarial.starts import shares
from common.data.cases import Cases, SiteId
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import PERTURBATIONS
from common.study.options import Entry
from experiments.withstanding.asked import CHANCE
from experiments.withstanding.scored import Rows, Scored, beside_of, means, rows_of, scored

OF_RANGE = "of the range of values"
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
        return cls(low, high, high - low, OF_RANGE)

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


@dataclass(frozen=True)
class Moves:
    """Scores of one way to mislead. rows: by hospital, at 0 and every size. beside: other scores, by their names."""

    perturbation: str
    source: str
    score: str
    rows: Rows
    beside: Mapping[str, Rows] = field(default_factory=dict)

    @property
    def mean(self) -> tuple[float | None, ...]:
        """Over hospitals, each counting one."""
        return means(self.rows)


def moves(
    entry: Entry,
    task: Task,
    network: nn.Module,
    tests: Mapping[SiteId, Cases],
    clean: Mapping[SiteId, Scored],
    allowed: Range,
    sizes: tuple[float, ...],
    seed: int,
) -> Moves:
    """Of every hospital and size. clean: of inputs as they are.

    Raises StudyError where the loss does not depend on the inputs, or nothing follows a slope of them.
    """
    perturbation = way_of(entry)
    found: dict[SiteId, list[Scored]] = {}
    for site, cases in tests.items():
        changed = (moved(cases, task, network, perturbation, allowed.room(size), (seed, site)) for size in sizes)
        found[site] = [clean[site], *(scored(task, network, one) for one in changed)]
    name = next(iter(clean.values())).name
    return Moves(entry.name, perturbation.source, name, rows_of(found), beside_of(found))


def way_of(entry: Entry) -> Perturbation:
    """Ours by name, or somebody's own. Raises WardroundError as the catalogue does."""
    return cast(Perturbation, Chance() if entry.name == CHANCE else PERTURBATIONS.build(entry))


def moved(
    cases: Cases, task: Task, network: nn.Module, perturbation: Perturbation, room: Room, seed: tuple[int, str]
) -> Cases:
    """The same cases, each moved to where the task's loss is larger."""
    found: dict[int, NDArray[np.float32]] = {}
    for indices in _pieces(cases):
        batch = cases.batch(indices)
        draws = [generator(seed[0], seed[1], index, "misleading") for index in indices.tolist()]
        with not_learning(network):
            objective = objective_of(perturbation, task, network, batch)
            inputs = perturbation.move(objective, room.around(batch.inputs), draws).detach().numpy()
        found |= dict(zip(indices.tolist(), inputs, strict=True))
    return cases.with_columns(inputs=[found[index] for index in range(len(cases))])


def _pieces(cases: Cases) -> Iterator[NDArray[np.int64]]:
    """Numbers of cases of one shape, as many as fit."""
    shapes = [case.shape for case in cases.pieces("inputs")]
    for shape in dict.fromkeys(shapes):
        own = np.array([index for index, other in enumerate(shapes) if other == shape], np.int64)
        many = max(1, MOST_AT_ONCE // max(1, int(np.prod(shape))))
        yield from (own[begin : begin + many] for begin in range(0, len(own), many))


def size_words(size: float, unit: str) -> str:
    """Sizes of images are told in 255ths, as everybody does. unit: `Range.words`."""
    if not size:
        return "nothing"
    of_255 = size * 255
    return f"{of_255:.0f}/255" if unit == OF_RANGE and abs(of_255 - round(of_255)) < 1e-9 else f"{size:g}"
