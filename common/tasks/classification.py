"""Classification of tables and images: one class a case, learned by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from torch import Tensor, nn, no_grad
from torch.nn.functional import cross_entropy

from common.cases import Batch, Shape
from common.catalogue import NETWORKS
from common.checks import between
from common.mean import Mean
from common.options import Entry
from common.task import Task
from common.tasks._network import build_fitting

MOST_RECALLS = 64
"""Above this number of classes only accuracy and loss are scored, so that a reply stays small."""


@dataclass(frozen=True)
class Classification:
    """network: from `common/networks`. label_smoothing: share of the truth spread evenly over all classes.

    Scores, every case counting one: accuracy; loss; recall_0, recall_1, ... of each class index, over the cases
    that truly are of the class (weight 0 where there are none).
    """

    headline: ClassVar[str] = "accuracy"

    network: Entry = field(default_factory=lambda: Entry("mlp"))
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        between("task", 0, 1, label_smoothing=self.label_smoothing)

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of logits (N, classes). Raises StudyError where it does not fit the shape or the task."""
        return build_fitting(self.network, shape, (shape.classes,), "classification")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 cross-entropy in nats."""
        return self._losses(network(batch.inputs).float(), batch.targets)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Accuracy, loss and recalls.

        Computed in float64 and rounded to float32: how a matrix product rounds depends on the other cases of the
        batch, and a case's score must not, or hospitals' scores would not merge exactly.
        """
        exact = deepcopy(network).double()
        with no_grad():
            logits = exact(batch.inputs.double())
            losses = self._losses(logits, batch.targets).float()
        right = (logits.argmax(1) == batch.targets).numpy()
        scores = {"accuracy": Mean.of(right), "loss": Mean.of(losses.tolist())}
        if logits.shape[1] <= MOST_RECALLS:
            targets = batch.targets.numpy()
            scores |= {f"recall_{index}": Mean.of(right[targets == index]) for index in range(logits.shape[1])}
        return scores

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) int64 class indices."""
        answer: Tensor = network(inputs).argmax(1)
        return answer

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)


task: type[Task] = Classification
