"""Decepticon: a transformer made so that the gradients of its attention tell single tokens apart, and whose they are.

It needs attention, with its embedding of places and a feed-forward layer behind, into which the imprint is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from common.learning.parameters import new_network
from experiments.access import Need
from experiments.attack import UNTRIED, Attack, Finding, Sees
from experiments.attacks.inversion.token_spans import embedding_of
from experiments.observation import Observation


@dataclass(frozen=True)
class Decepticon:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Fowl et al. 2023, Decepticons: Corrupted Transformers Breach Privacy"
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "a transformer made to tell tokens apart"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Whether the study's network has what it needs; a stranger's with attention is said to be untried."""
        study = observed.study
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        if embedding_of(network.double(), observed.shape) is not None:
            reason = "the study's network has attention, of patches, and this attack takes words as tokens: not tried"
            return Finding("decepticon", observed.observer, False, reason, settings={UNTRIED: True})
        if not any(isinstance(module, nn.MultiheadAttention) for module in network.modules()):
            reason = "the study's network has no attention, whose tokens this attack tells apart"
            return Finding("decepticon", observed.observer, False, reason)
        reason = "the study's network has attention, and this attack takes words as tokens: it was not tried"
        return Finding("decepticon", observed.observer, False, reason, settings={UNTRIED: True})


attack: type[Attack] = Decepticon
