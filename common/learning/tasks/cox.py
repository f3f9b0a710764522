"""Cox regression: who is at higher risk of an event, by the partial likelihood, whatever the risk of all over time.

Cox 1972, Regression models and life-tables: the network answers one number, the logarithm of a case's hazard over
that of a case at 0. The loss of a case with the event compares it with all of its batch that were still under
observation then (Breslow's form where times are equal). So a full batch is the partial likelihood stratified by
hospital, in which no case is compared with one elsewhere, and smaller batches estimate it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn, no_grad

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.device import exact_copy, home
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.metrics.concordance import Concordance
from common.study.catalogue import NETWORKS
from common.study.options import Entry
from common.sums.mean import Mean

LARGEST_LOSS = 1e3
"""In scores alone: a model that is sure and wrong does not make a sum overflow."""


@dataclass(frozen=True)
class Cox:
    """network: from `common/learning/networks`.

    Targets are (N, 2): time under observation, and 1 where it ended in the event, else 0.

    Scores: c_index, Harrell's index over pairs of cases of one hospital (no pair is across hospitals, whose cases
    never meet): 1 is perfect, 0.5 chance. loss: the mean over a hospital's cases of the partial likelihood's negative
    logarithm in nats.
    """

    headline: ClassVar[str] = "c_index"
    couples: ClassVar[bool] = True
    scored_whole: ClassVar[bool] = True
    answer_names: ClassVar[tuple[str, ...]] = ("log hazard ratio",)
    number_names: ClassVar[tuple[str, ...]] = ("the log hazard ratio",)

    network: Entry = field(default_factory=lambda: Entry("logistic"))

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of log hazard ratios (N, 1). Raises StudyError where cases are of classes or it does not fit."""
        if shape.classes:
            raise StudyError(
                f"task 'cox' learns times and events, and the cases are of {shape.classes} classes: let the source "
                "read times (of tables, source.target = 'survival')."
            )
        return build_fitting(self.network, Shape(shape.inputs, 1), (1,), "cox")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: of each case with the event, log sum over those at risk of exp(theta) - its own theta."""
        return _losses(network(batch.inputs).float()[:, 0], batch.targets)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Of all cases of the batch, compared with each other."""
        return self.judged(self.answered(network, batch))

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Risks, in float64 as in classification, for the same reason; times and events."""
        exact = exact_copy(network)
        with no_grad():
            risks = exact(batch.inputs.to(home(exact)).double())[:, 0].cpu()
        return {"risks": risks, "targets": batch.targets.cpu()}

    def judged(self, answered: Mapping[str, Tensor]) -> Mapping[str, Mean]:
        """The index and the loss."""
        risks, targets = answered["risks"], answered["targets"]
        losses = _losses(risks, targets).clamp(max=LARGEST_LOSS).float()
        times, events = targets[:, 0].numpy(), targets[:, 1].numpy()
        found = Concordance.of(risks.float().numpy(), times, events)
        return {"c_index": found.mean(), "loss": Mean.of(losses.tolist())}

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """A target is a time and whether the event ended it."""
        return (2,)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return "one number a case: the logarithm of its hazard over that of a case at 0"

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) float32: the logarithm of each case's hazard over that of a case at 0."""
        answer: Tensor = network(inputs).float()[:, 0]
        return answer

    def numbers(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, 1): what is predicted."""
        answer: Tensor = network(inputs)[:, :1]
        return answer


def _losses(risks: Tensor, targets: Tensor) -> Tensor:
    times, events = targets[:, 0], targets[:, 1] > 0
    order = torch.argsort(times, descending=True, stable=True)
    at_risk = torch.logcumsumexp(risks[order], 0)
    # Cases of equal times are at risk together: the sum up to the last of them.
    last = torch.searchsorted(-times[order], -times, right=True) - 1
    return torch.where(events, at_risk[last] - risks, torch.zeros_like(risks))


task: type[Task] = Cox
