"""How a model that is not federated is trained, so that the comparison with the federation is fair."""

from __future__ import annotations

from dataclasses import replace

from common.learning.work import Training
from common.study.catalogue import STRATEGIES
from common.study.study import Study


def baseline_training(study: Study) -> Training:
    """As many passes over the data as every hospital makes in the whole federation, in one go.

    Where hospitals send gradients, the server's steps become local steps at the strategy's learning rate.
    """
    training, strategy = study.training, STRATEGIES.build(study.strategy)
    if strategy.sends == "gradient":
        return replace(training, steps=study.rounds, learning_rate=strategy.learning_rate)
    if training.steps is not None:
        return replace(training, steps=training.steps * study.rounds)
    return replace(training, epochs=training.epochs * study.rounds)
