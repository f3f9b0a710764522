"""A case the final model does well on was probably trained on.

Yeom, Giacomelli, Fredrikson and Jha 2018, Privacy risk in machine learning: analyzing the connection to overfitting
(CSF), adversary 2: membership is the more likely the lower the loss.
"""

from __future__ import annotations

from common.data.cases import Cases
from experiments.attacks.membership.target import Floats, Target
from experiments.observation import Observation

SOURCE = "Yeom et al. 2018, Privacy risk in machine learning (CSF)"


def loss_threshold(observed: Observation, candidates: Cases) -> Floats:
    """(N,) minus the loss on the final model."""
    return -Target.of(observed).losses(observed.final_model, candidates)
