"""Whether a model is worse than the one before it, on this hospital's own validation cases: its one vote."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from client.evaluation import evaluate
from client.hospital import Hospital
from common.learning.task import Task
from common.metrics.roc import with_areas
from common.study.stopping import LOWER_IS_BETTER
from common.sums.ballots import Choice
from common.sums.mean import Statistics
from common.sums.update import Vector

LOSS = "loss"


def vote_of(hospital: Hospital, load: Callable[[Vector], None], model: Vector, before: Vector) -> Choice:
    """load: puts a model into the hospital's network, with the parts that the hospital keeps to itself.

    A model whose scores are no numbers is worse than any that has some.
    """
    if not len(hospital.splits["validation"]):
        return "silent"
    new, old = (_score(hospital, load, parameters) for parameters in (model, before))
    if new is None or old is None:
        return "worse" if old is not None else "fine"
    return "worse" if new > old + hospital.study.defence.worse_by * abs(old) else "fine"


def _score(hospital: Hospital, load: Callable[[Vector], None], parameters: Vector) -> float | None:
    """The less the better; None where it is no number."""
    load(parameters)
    try:
        statistics = evaluate(hospital.task, hospital.network, hospital.splits["validation"])
    except (ValueError, OverflowError):
        return None
    return judged(hospital.task, statistics)


def judged(task: Task, statistics: Statistics) -> float | None:
    """The loss, or where the task tells none, one less its headline score; None where that is no number."""
    name = LOSS if LOSS in statistics else task.headline
    value = with_areas(statistics).get(name)
    if value is None or not isfinite(value):
        return None
    return value if name.startswith(LOWER_IS_BETTER) else 1 - value
