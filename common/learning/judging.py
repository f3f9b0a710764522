"""Scores of cases that a network was asked about once: of all of them, of groups, or of samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.learning.abilities import abilities, can
from common.learning.task import Task
from common.sums.mean import Mean, means_of, means_of_groups

Answered = Mapping[str, Tensor]


def joined(parts: Iterable[Answered]) -> dict[str, Tensor]:
    """All cases of several answers."""
    columns: dict[str, list[Tensor]] = {}
    for part in parts:
        for name, values in part.items():
            columns.setdefault(name, []).append(values.cpu())
    return {name: torch.cat(values) for name, values in columns.items()}


def judge(task: Task, answered: Answered) -> Mapping[str, Mean]:
    """Scores of these cases together."""
    able = abilities(task)
    if can(task, "judged_each"):
        return means_of(numbers_of(able.judged_each(answered)))
    return able.judged(answered)


def judge_groups(task: Task, answered: Answered, group: NDArray[np.int64], count: int) -> list[Mapping[str, Mean]]:
    """Scores of the cases of each group, numbered from 0.

    Where scores are means of a number a case, each case's is as it is among all.
    """
    able = abilities(task)
    if can(task, "judged_each"):
        return list(means_of_groups(numbers_of(able.judged_each(answered)), group, count))
    return [able.judged(taken(answered, np.flatnonzero(group == one))) for one in range(count)]


def taken(answered: Answered, rows: NDArray[np.integer]) -> dict[str, Tensor]:
    """Some of the cases, in that order."""
    places = torch.from_numpy(np.asarray(rows, np.int64))
    return {name: values[places] for name, values in answered.items()}


def numbers_of(columns: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    """On the CPU."""
    return {name: values.detach().cpu().double().numpy() for name, values in columns.items()}
