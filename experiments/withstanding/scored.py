"""One score of a model on some cases, of which a curve over changed inputs is drawn, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from common.adversarial.aims import answering
from common.data.cases import Cases, SiteId
from common.errors import StudyError
from common.learning.task import Task
from common.sums.mean import Mean, merge

BALANCED = "balanced_accuracy"
RECALL = "recall_"
"""Where most cases are of one class, a model that has lost everything still answers most of them right."""
BESIDE = ("hd95", "hd95_voxels", "missed")
"""Of outlines: Dice hardly falls where a few voxels far away are called diseased, and this distance does."""

Rows = Mapping[SiteId, tuple[float | None, ...]]
"""By hospital, a value at every size or severity; None where there is none."""


@dataclass(frozen=True)
class Scored:
    """name: of the score. value: None where no case has one. beside: those of BESIDE that the task has.

    guess: value of who always answers the same class; None where it is not known.
    """

    name: str
    value: float | None
    beside: Mapping[str, float | None] = field(default_factory=dict)
    guess: float | None = None


def scored(task: Task, network: nn.Module, cases: Cases) -> Scored:
    """Over cases of one hospital. A task that trains against changes is scored as the task that it is around.

    Raises StudyError where the model answers no numbers.
    """
    task = answering(task)
    try:
        with torch.no_grad():
            scores = merge([task.score(network, cases.batch())])
    except ValueError as error:
        raise StudyError(f"the model's answers have no score: {error}") from error
    beside = {name: _value(scores[name]) for name in BESIDE if name in scores}
    recalls = [one for key, one in scores.items() if key.startswith(RECALL)]
    if not recalls:
        return Scored(task.headline, _value(scores[task.headline]), beside)
    known = [one.value for one in recalls if one.weight]
    return Scored(BALANCED, mean_of(known), beside, 1 / len(known) if known else None)


def scored_all(task: Task, network: nn.Module, tests: Mapping[SiteId, Cases]) -> dict[SiteId, Scored]:
    """Of every hospital."""
    return {site: scored(task, network, cases) for site, cases in tests.items()}


def rows_of(found: Mapping[SiteId, Sequence[Scored]]) -> Rows:
    """Values of the score."""
    return {site: tuple(one.value for one in row) for site, row in found.items()}


def beside_of(found: Mapping[SiteId, Sequence[Scored]]) -> dict[str, Rows]:
    """By the name of each score that stands beside it."""
    names = {name: None for row in found.values() for one in row for name in one.beside}
    return {name: {site: tuple(one.beside.get(name) for one in row) for site, row in found.items()} for name in names}


def means(rows: Rows) -> tuple[float | None, ...]:
    """Over hospitals, each counting one."""
    columns = zip(*rows.values(), strict=True)
    return tuple(mean_of([one for one in column if one is not None]) for column in columns)


def mean_of(values: Sequence[float]) -> float | None:
    """None of none."""
    return sum(values) / len(values) if values else None


def _value(mean: Mean) -> float | None:
    return mean.value if mean.weight else None
