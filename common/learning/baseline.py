"""How a model that is not federated is trained, so that the comparison with the federation is fair."""

from __future__ import annotations

from dataclasses import replace

from common.learning.client_work import Training
from common.learning.schedules import rate_in_round
from common.study.catalogue import STRATEGIES
from common.study.study import Study


def baseline_trainings(study: Study) -> tuple[Training, ...]:
    """As many passes over the data as every hospital makes in the whole federation, one after the other.

    In one go, or, where a learning rate changes from round to round, as many rounds at the rates of these. Where
    hospitals send gradients, the server's steps become local steps at the strategy's learning rate.
    """
    training, rounds = study.training, range(1, study.rounds + 1)
    if STRATEGIES.load(study.strategy.name).sends == "gradient":
        rate, schedule = STRATEGIES.build(study.strategy).learning_rate, study.server_schedule
        if schedule is None:
            return (replace(training, steps=study.rounds, learning_rate=rate),)
        return tuple(replace(training, steps=1, learning_rate=rate_in_round(rate, schedule, one)) for one in rounds)
    if training.schedule is not None:
        return tuple(training.in_round(number) for number in rounds)
    if training.steps is not None:
        return (replace(training, steps=training.steps * study.rounds),)
    return (replace(training, epochs=training.epochs * study.rounds),)
