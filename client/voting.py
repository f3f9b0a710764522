"""Whether a model is worse than the one before it, on this hospital's own validation cases: its one vote.

Both models are shown the same patients, so that their losses are compared patient by patient. Worse is a model whose
mean loss is higher by the study's share of it, and by a standard error of that difference: from one honest round
to the next a few patients gain what others lose, and a model that was spoilt does worse with nearly all.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from client.evaluation import evaluate
from client.hospital import Hospital
from common.data.cases import Cases
from common.learning.abilities import scored_whole
from common.learning.device import one_exact_copy
from common.learning.task import Task
from common.metrics.roc import with_auc
from common.study.stopping import LOWER_IS_BETTER
from common.sums.ballots import Choice
from common.sums.mean import Statistics
from common.sums.update import Vector

LOSS = "loss"
MOST_PATIENTS = 256
"""That are compared one by one, evenly spread: more cost time and tell little."""
STANDARD_ERRORS = 1.0


def vote_of(hospital: Hospital, load: Callable[[Vector], None], model: Vector, before: Vector) -> Choice:
    """load: puts a model into the hospital's network, with the parts that the hospital keeps to itself.

    A model whose scores are no numbers is worse than any that has some.
    """
    cases = hospital.splits["validation"]
    if not len(cases):
        return "silent"
    parts = _patients(hospital.task, cases)

    def losses(parameters: Vector) -> NDArray[np.float64]:
        load(parameters)
        with one_exact_copy(hospital.network):
            return np.array([_loss(hospital, part) for part in parts])

    return "worse" if is_worse(losses(model), losses(before), hospital.study.defence.worse_by) else "fine"


def is_worse(new: NDArray[np.float64], old: NDArray[np.float64], worse_by: float) -> bool:
    """new, old: losses of the same patients, in the same order; NaN where there is none."""
    known = np.isfinite(old)
    if not known.any():
        return False
    if not np.isfinite(new[known]).all():
        return True
    change, mean = new[known] - old[known], float(np.mean(np.abs(old[known])))
    error = float(change.std(ddof=1)) / np.sqrt(len(change)) if len(change) > 1 else 0.0
    return bool(change.mean() > max(worse_by * mean, STANDARD_ERRORS * error))


def _patients(task: Task, cases: Cases) -> list[Cases]:
    """Each patient's cases; all as one where the task compares patients with each other."""
    if scored_whole(task):
        return [cases]
    names = np.unique(cases.patients)
    chosen = names[np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_PATIENTS)).astype(np.int64))]
    return [cases.take(np.flatnonzero(cases.patients == name)) for name in chosen]


def _loss(hospital: Hospital, cases: Cases) -> float:
    """The less the better; NaN where it is no number."""
    try:
        return _judged(hospital.task, evaluate(hospital.task, hospital.network, cases))
    except (ValueError, OverflowError):
        return float("nan")


def _judged(task: Task, statistics: Statistics) -> float:
    """The loss, or where the task tells none, one less its headline score; NaN where that is no number."""
    name = LOSS if LOSS in statistics else task.headline
    value = with_auc(statistics).get(name)
    if value is None or not isfinite(value):
        return float("nan")
    return value if name.startswith(LOWER_IS_BETTER) else 1 - value
