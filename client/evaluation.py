"""A model's scores on one hospital's cases, as mergeable statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Cases
from common.learning.abilities import abilities, can, compares_patients, scored_whole
from common.learning.device import home, one_exact_copy
from common.learning.judging import Answered, joined, judge, judge_groups, taken
from common.learning.task import Task
from common.metrics.intervals import PATIENTS, SPREAD, patient_sums
from common.sums.mean import Mean, merge

CASES_A_BATCH = 64
VALUES_A_BATCH = 1 << 22
"""Batches are of about so many cases and inputs' values at most, so that volumes do not fill the memory."""


def evaluate(task: Task, network: nn.Module, cases: Cases, of_patients: Sequence[str] = ()) -> dict[str, Mean]:
    """Scores of the network on `cases`; {} where there are none. A patient's cases are scored together.

    A task that says `scored_whole` compares patients with each other: all of `cases` are then looked at together.
    of_patients: scores for which sums over patients are wanted too, for an interval (`common.metrics.intervals`).
    """
    if not of_patients:
        return _together(task, network, cases)
    if not compares_patients(task):
        singly = evaluate_patients(task, network, cases).values()
        return merge({**scores, **patient_sums(scores, of_patients)} for scores in singly)
    scores = _together(task, network, cases)
    return {**_sums_beside(task, network, cases, of_patients, scores), **scores}


def evaluate_patients(task: Task, network: nn.Module, cases: Cases) -> dict[str, Mapping[str, Mean]]:
    """Scores by patient, in the order of their names, of each one's own cases alone.

    Where a score is the mean of a number a case that compares it with others (`judged_each`), they are compared with
    all of `cases`, so that patients' scores add up to those of all.
    """
    names, of_case = np.unique(cases.patients, return_inverse=True)
    with torch.no_grad(), _ready(network):
        if can(task, "answered"):
            found = judge_groups(task, answers(task, network, cases), of_case, len(names)) if len(cases) else []
        else:
            device = home(network)
            rows = _whole_patients(cases, 0)
            found = [task.score(network, cases.batch(own).to(device)) for own in rows]
    return dict(zip(map(str, names), found, strict=True))


def answers(task: Task, network: nn.Module, cases: Cases) -> Answered:
    """What the scores of all `cases`, at least one, are made of, in their order, for `common.learning.judging`.

    Asked for only of a task that says what it is.
    """
    device, able, pieces = home(network), abilities(task), list(_whole_patients(cases))
    with torch.no_grad(), _ready(network):
        found = joined(able.answered(network, cases.batch(rows).to(device)) for rows in pieces)
    return taken(found, np.argsort(np.concatenate(pieces)))


def _together(task: Task, network: nn.Module, cases: Cases) -> dict[str, Mean]:
    if not len(cases):
        return {}
    if can(task, "answered"):
        return dict(judge(task, answers(task, network, cases)))
    device = home(network)
    batches = [np.arange(len(cases))] if scored_whole(task) else _whole_patients(cases)
    with torch.no_grad(), _ready(network):
        return merge(task.score(network, cases.batch(indices).to(device)) for indices in batches)


def _ready(network: nn.Module) -> AbstractContextManager[None]:
    """While it lasts the network does not change, and is copied into float64 once."""
    return one_exact_copy(network.eval())


def _sums_beside(
    task: Task, network: nn.Module, cases: Cases, names: Sequence[str], whole: Mapping[str, Mean]
) -> dict[str, Mean]:
    """Sums of those scores that are the same patient by patient: one that compares patients has no interval."""
    if len(np.unique(cases.patients)) < 2:
        return {}
    singly = evaluate_patients(task, network, cases).values()
    found = merge({**scores, **patient_sums(scores, names)} for scores in singly)
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
