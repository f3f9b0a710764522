"""Classification of tables and images: one class a case, learned by cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, no_grad
from torch.nn.functional import cross_entropy

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.class_weights import prior_of, weights_of
from common.learning.device import exact_copy, home
from common.learning.own_loss import OwnLoss
from common.learning.task import Task
from common.learning.tasks._class_scores import OF_CHANCES, scores_of_chances
from common.learning.tasks._network import build_fitting, refuse_numbers
from common.study.catalogue import NETWORKS
from common.study.checks import between, listed, one_of
from common.study.options import OPTION, Entry
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
SCORES = ("accuracy", *BY_CLASS, "auc", *OF_CHANCES)


@dataclass(frozen=True)
class Classification:
    """network: from `common/learning/networks`. label_smoothing: share of the truth spread evenly over all classes.
    loss: a function of (N, classes) logits and (N,) classes, in place of cross-entropy.

    scores: what is measured beside accuracy and loss, from recall, precision, specificity, jaccard and f1, of two
    classes auc, and of predicted chances brier, calibration, decision and confusion.

    Scores, every case counting one: accuracy; loss; recall_0, recall_1, ... of each class index, over the cases
    that truly are of the class (weight 0 where there are none, not defined); precision over those that were answered
    so; specificity over those that are of another class; jaccard TP / (TP + FP + FN) and f1 2 TP / (2 TP + FP + FN).
    auc: the area under the ROC curve of class 1, with auc_error, from histograms (see common/metrics/roc.py).
    brier: the squared distance of the chance of class 1 from the truth; of several classes summed over all.
    calibration: the calibration curve of class 1 (of several classes, of the answer) and its error. decision: of two
    classes the histogram that auc needs, for the decision curve and the calibration line too; of more classes
    nothing. confusion: of each class the share that was answered by each, of at most 8 classes.
    """

    headline: ClassVar[str] = "accuracy"
    weighs_classes: ClassVar[bool] = True
    calibrates: ClassVar[bool] = True
    loss_of_answers: ClassVar[bool] = True

    network: Entry = field(default_factory=lambda: Entry("mlp"))
    label_smoothing: float = 0.0
    scores: tuple[str, ...] = ("accuracy", "recall")
    own_loss: Entry | None = field(default=None, metadata={OPTION: "loss"})

    def __post_init__(self) -> None:
        if self._own_loss is not None and self.label_smoothing:
            raise StudyError("task.label_smoothing is of cross-entropy, and task.loss takes its place: remove one.")
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
        if self._own_loss is not None:
            self._own_loss.demand_usable((shape.classes,), torch.tensor([0, shape.classes - 1]))
        return build_fitting(self.network, shape, (shape.classes,), "classification")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 cross-entropy in nats, times the weight of the case's class where it has one."""
        logits, weights, prior = network(batch.inputs).float(), weights_of(batch), prior_of(batch)
        losses = self._losses(logits if prior is None else logits + prior, batch.targets)
        return losses if weights is None else losses * weights

    def soft_loss(
        self, network: nn.Module, inputs: Tensor, truth: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """(N,) cross-entropy in nats with (N, classes) probabilities."""
        losses = soft_cross_entropy(network(inputs), truth, self.label_smoothing)
        return losses if class_weights is None else losses * (truth @ class_weights.to(truth.dtype))

    def label_space(self, shape: Shape) -> tuple[int, ...]:
        """A probability a class."""
        return (shape.classes,)

    def label_evidence(self, gradient: NDArray[np.float64], answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gradient as it would be without label smoothing, under which the truth is spread over all classes."""
        if not 0 < self.label_smoothing < 1:
            return gradient
        truth = (answers - gradient - self.label_smoothing / len(gradient)) / (1 - self.label_smoothing)
        return np.asarray(answers - truth)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Accuracy, loss and what `scores` names.

        Computed in float64 and rounded to float32: how a matrix product rounds depends on the other cases of the
        batch, and a case's score must not, or hospitals' scores would not merge exactly.
        """
        exact = exact_copy(network)
        with no_grad():
            logits = exact(batch.inputs.to(home(exact)).double()).cpu()
            losses = self._losses(logits, batch.targets.cpu()).float()
        targets, answers = batch.targets.cpu().numpy(), logits.argmax(1).numpy()
        scores = {"accuracy": Mean.of(answers == targets), "loss": Mean.of(losses.tolist())}
        by_class = [name for name in BY_CLASS if name in self.scores]
        if logits.shape[1] * len(by_class) <= MOST_RECALLS:
            for name in by_class:
                scores |= {f"{name}_{i}": BY_CLASS[name](targets, answers, i) for i in range(logits.shape[1])}
        return scores | scores_of_chances(self.scores, logits, targets)

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

    @cached_property
    def _own_loss(self) -> OwnLoss | None:
        return None if self.own_loss is None else OwnLoss(self.own_loss, "classification")

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self._own_loss is not None:
            return self._own_loss.of(logits, targets)
        return cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)


def soft_cross_entropy(logits: Tensor, truth: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """(N,) cross-entropy in nats of (N, classes) logits; smoothing spreads that share of the truth evenly."""
    smoothed = truth * (1 - label_smoothing) + label_smoothing / truth.shape[1]
    return -(smoothed * logits.log_softmax(1)).sum(1)


def _overlap(truth: NDArray[np.bool_], answer: NDArray[np.bool_], weight: float) -> Mean:
    """weight TP / (weight TP + FP + FN)."""
    right = (truth & answer)[truth | answer]
    return Mean.of(right, np.where(right, weight, 1.0))


task: type[Task] = Classification
