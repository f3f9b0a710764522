"""Classification of tables and images: one class a case, learned by cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn, no_grad
from torch.nn.functional import cross_entropy

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.task import Task
from common.learning.tasks._network import build_fitting, refuse_numbers
from common.metrics.roc import ScoreHistogram
from common.study.catalogue import NETWORKS
from common.study.checks import between, listed, one_of
from common.study.options import Entry
from common.sums.mean import Mean

MOST_RECALLS = 64
"""Above this number of classes times scores only accuracy and loss are scored, so that a reply stays small."""

Answers = NDArray[np.int64]
BY_CLASS: Mapping[str, Callable[[Answers, Answers, int], Mean]] = {
    "recall": lambda truth, answer, index: Mean.of((answer == index)[truth == index]),
    "precision": lambda truth, answer, index: Mean.of((truth == index)[answer == index]),
    "specificity": lambda truth, answer, index: Mean.of((answer != index)[truth != index]),
    "jaccard": lambda truth, answer, index: _overlap(truth == index, answer == index, 1),
    "f1": lambda truth, answer, index: _overlap(truth == index, answer == index, 2),
}
SCORES = ("accuracy", *BY_CLASS, "auc")


@dataclass(frozen=True)
class Classification:
    """network: from `common/learning/networks`. label_smoothing: share of the truth spread evenly over all classes.

    scores: what is measured beside accuracy and loss, from recall, precision, specificity, jaccard and f1, and of two
    classes auc.

    Scores, every case counting one: accuracy; loss; recall_0, recall_1, ... of each class index, over the cases
    that truly are of the class (weight 0 where there are none, not defined); precision over those that were answered
    so; specificity over those that are of another class; jaccard TP / (TP + FP + FN) and f1 2 TP / (2 TP + FP + FN).
    auc: the area under the ROC curve of class 1, with auc_error, from histograms (see common/metrics/roc.py).
    """

    headline: ClassVar[str] = "accuracy"

    network: Entry = field(default_factory=lambda: Entry("mlp"))
    label_smoothing: float = 0.0
    scores: tuple[str, ...] = ("accuracy", "recall")

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        between("task", 0, 1, label_smoothing=self.label_smoothing)
        listed("task", scores=self.scores)
        for name in self.scores:
            one_of("task", SCORES, scores=name)

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of logits (N, classes). Raises StudyError where it does not fit the shape or the task."""
        refuse_numbers("classification", shape)
        if "auc" in self.scores and shape.classes != 2:
            raise StudyError(f"task.scores: auc is of two classes; the cases have {shape.classes}.")
        return build_fitting(self.network, shape, (shape.classes,), "classification")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 cross-entropy in nats."""
        return self._losses(network(batch.inputs).float(), batch.targets)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Accuracy, loss and what `scores` names.

        Computed in float64 and rounded to float32: how a matrix product rounds depends on the other cases of the
        batch, and a case's score must not, or hospitals' scores would not merge exactly.
        """
        exact = deepcopy(network).double()
        with no_grad():
            logits = exact(batch.inputs.double())
            losses = self._losses(logits, batch.targets).float()
        targets, answers = batch.targets.numpy(), logits.argmax(1).numpy()
        scores = {"accuracy": Mean.of(answers == targets), "loss": Mean.of(losses.tolist())}
        by_class = [name for name in BY_CLASS if name in self.scores]
        if logits.shape[1] * len(by_class) <= MOST_RECALLS:
            for name in by_class:
                scores |= {f"{name}_{i}": BY_CLASS[name](targets, answers, i) for i in range(logits.shape[1])}
        if "auc" in self.scores:
            log_odds = (logits[:, 1] - logits[:, 0]).float().numpy()
            scores |= ScoreHistogram.of(log_odds, targets == 1).statistics()
        return scores

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,) int64 class indices."""
        answer: Tensor = network(inputs).argmax(1)
        return answer

    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, classes), of which a softmax makes probabilities."""
        answer: Tensor = network(inputs)
        return answer

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)


def _overlap(truth: NDArray[np.bool_], answer: NDArray[np.bool_], weight: float) -> Mean:
    """weight TP / (weight TP + FP + FN)."""
    right = (truth & answer)[truth | answer]
    return Mean.of(right, np.where(right, weight, 1.0))


task: type[Task] = Classification
