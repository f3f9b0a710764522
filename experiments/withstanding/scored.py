"""One score of a model on some cases, the one that a curve over changed inputs is drawn of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from common.data.cases import Cases
from common.errors import StudyError
from common.learning.task import Task
from common.sums.mean import Mean, merge

BALANCED = "balanced accuracy"
RECALL = "recall_"
"""Where most cases are of one class, a model that has lost everything still answers most of them right."""


def score_name(task: Task, scores: Mapping[str, Mean]) -> str:
    """What `scored` gives: of classes their mean recall, else the task's headline."""
    return BALANCED if any(name.startswith(RECALL) for name in scores) else task.headline


def scored(task: Task, network: nn.Module, cases: Cases) -> tuple[str, float | None]:
    """Name and value over cases of one hospital; None where no case has one.

    Raises StudyError where the model answers no numbers.
    """
    try:
        with torch.no_grad():
            scores = merge([task.score(network, cases.batch())])
    except ValueError as error:
        raise StudyError(f"the model's answers have no score: {error}") from error
    name = score_name(task, scores)
    if name == BALANCED:
        recalls = [one.value for key, one in scores.items() if key.startswith(RECALL) and one.weight]
        return name, sum(recalls) / len(recalls) if recalls else None
    found = scores[task.headline]
    return name, found.value if found.weight else None
