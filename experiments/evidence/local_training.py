"""What a round of a study makes a hospital do, for whoever does it again."""

from __future__ import annotations

from dataclasses import replace

from common.learning.client_work import Training
from common.learning.schedules import rate_in_round
from common.study.catalogue import STRATEGIES
from common.study.study import Study


def local_training(study: Study, number: int = 1) -> Training:
    """What round `number` of the study makes a hospital do; where it sends gradients, the server's step."""
    strategy = STRATEGIES.build(study.strategy)
    if strategy.sends != "gradient":
        return study.training.in_round(number)
    rate = float(getattr(strategy, "learning_rate", study.training.learning_rate))
    rate = rate_in_round(rate, study.server_schedule, number)
    return replace(study.training, epochs=1, steps=1, learning_rate=rate, optimiser="sgd")
