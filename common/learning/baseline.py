"""How a model that is not federated is trained, so that the comparison with the federation is fair."""

from __future__ import annotations

from dataclasses import replace

from common.learning.abilities import can, task_in_round
from common.learning.client_work import Training
from common.learning.schedules import rate_in_round
from common.learning.task import Task
from common.study.catalogue import STRATEGIES
from common.study.study import Study


def baseline_rounds(study: Study, task: Task) -> tuple[tuple[Task, Training], ...]:
    """Each of `baseline_trainings` with the task as it is learned then."""
    return tuple(
        (task_in_round(task, number), training) for number, training in enumerate(baseline_trainings(study), 1)
    )


def baseline_trainings(study: Study) -> tuple[Training, ...]:
    """As many passes over the data as every hospital makes in the whole federation, one after the other.

    In one go, or, where a learning rate or the task itself changes from round to round, as many rounds as these are.
    Where hospitals send gradients, the server's steps become local steps at the strategy's learning rate.
    """
    training, rounds, changes = study.training, range(1, study.rounds + 1), can(study.build_task(), "in_round")
    if STRATEGIES.load(study.strategy.name).sends == "gradient":
        rate, schedule = STRATEGIES.build(study.strategy).learning_rate, study.server_schedule
        if schedule is None and not changes:
            return (replace(training, steps=study.rounds, learning_rate=rate),)
        return tuple(replace(training, steps=1, learning_rate=rate_in_round(rate, schedule, one)) for one in rounds)
    if training.schedule is not None or changes:
        return tuple(training.in_round(number) for number in rounds)
    if training.steps is not None:
        return (replace(training, steps=training.steps * study.rounds),)
    return (replace(training, epochs=training.epochs * study.rounds),)
