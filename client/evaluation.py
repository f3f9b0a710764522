"""A model's scores on one hospital's cases, as mergeable statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Cases
from common.learning.abilities import scored_whole
from common.learning.device import home
from common.learning.task import Task
from common.metrics.intervals import PATIENTS, SPREAD, patient_sums
from common.sums.mean import Mean, merge

CASES_A_BATCH = 64
VALUES_A_BATCH = 1 << 22
"""Batches are of about so many cases and inputs' values at most, so that volumes do not fill the memory."""


def evaluate(task: Task, network: nn.Module, cases: Cases, of_patients: Sequence[str] = ()) -> dict[str, Mean]:
    """Scores of the network on `cases`; {} where there are none. A patient's cases are scored together.

    A task that says `scored_whole` compares patients with each other: all of `cases` are then one batch.
    of_patients: scores for which sums over patients are wanted too, for an interval (`common.metrics.intervals`).
    """
    network.eval()
    whole = scored_whole(task) and len(cases) > 0
    batches = [np.arange(len(cases))] if whole else _whole_patients(cases)
    with torch.no_grad():
        if of_patients and not whole:
            return _with_sums(task, network, cases, of_patients)
        device = home(network)
        scores = merge(task.score(network, cases.batch(indices).to(device)) for indices in batches)
        return scores if not of_patients else {**_sums_beside(task, network, cases, of_patients, scores), **scores}


def _with_sums(task: Task, network: nn.Module, cases: Cases, names: Sequence[str]) -> dict[str, Mean]:
    """Scores, patient by patient, and their sums."""
    device = home(network)
    singly = (task.score(network, cases.batch(own).to(device)) for own in _whole_patients(cases, 0))
    return merge({**scores, **patient_sums(scores, names)} for scores in singly)


def _sums_beside(
    task: Task, network: nn.Module, cases: Cases, names: Sequence[str], whole: Mapping[str, Mean]
) -> dict[str, Mean]:
    """Sums of those scores that are the same patient by patient: one that compares patients has no interval."""
    if len(np.unique(cases.patients)) < 2:
        return {}
    found = _with_sums(task, network, cases, names)
    kept = {prefix + name for name in names for prefix in (SPREAD, PATIENTS) if found.get(name) == whole.get(name)}
    return {name: mean for name, mean in found.items() if name in kept}


def _whole_patients(cases: Cases, most: int = CASES_A_BATCH) -> Iterator[NDArray[np.int64]]:
    """Batches of about `most` cases that part no patient, in the order of the patients' names; 0: of one patient."""
    largest = min(most, VALUES_A_BATCH // max(1, cases.most_values))
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
