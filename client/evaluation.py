"""A model's scores on one hospital's cases, as mergeable statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Cases
from common.learning.abilities import scored_whole
from common.learning.task import Task
from common.sums.mean import Mean, merge

CASES_A_BATCH = 64
VALUES_A_BATCH = 1 << 22
"""Batches are of about so many cases and inputs' values at most, so that volumes do not fill the memory."""


def evaluate(task: Task, network: nn.Module, cases: Cases) -> dict[str, Mean]:
    """Scores of the network on `cases`; {} where there are none. A patient's cases are scored together.

    A task that says `scored_whole` compares patients with each other: all of `cases` are then one batch.
    """
    network.eval()
    whole = scored_whole(task) and len(cases) > 0
    batches = [np.arange(len(cases))] if whole else _whole_patients(cases)
    with torch.no_grad():
        return merge(task.score(network, cases.batch(indices)) for indices in batches)


def _whole_patients(cases: Cases) -> Iterator[NDArray[np.int64]]:
    """Batches of about CASES_A_BATCH cases that part no patient, in the order of the patients' names."""
    largest = min(CASES_A_BATCH, VALUES_A_BATCH // max(1, cases.most_values))
    order = np.argsort(cases.patients, kind="stable")
    names = cases.patients[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.array([], dtype=np.int64)
    begin = 0
    for end in [*starts[1:], len(order)]:
        last = end == len(order)
        following = starts[np.searchsorted(starts, end) + 1] if not last and end != starts[-1] else len(order)
        if end > begin and (last or following - begin > largest):
            yield order[begin:end]
            begin = int(end)
