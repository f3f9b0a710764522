"""A task's loss for truth that is only believed: a probability of every class instead of one class."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.learning.tasks.registration import Registration
from common.learning.tasks.segmentation import Segmentation
from common.segmentation.deep_supervision import deep_losses, logits_of_levels
from common.segmentation.loss import SMOOTHING_PIXELS

Losses = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network, inputs, truth) -> (N,) losses. truth: (N, classes) or (N, classes, [D,] H, W) probabilities."""


def soft_losses(task: Task) -> Losses:
    """The task's loss; equal to it where the probabilities are 0 and 1. Tasks without labels ignore the truth."""
    if isinstance(task, Classification):
        return lambda network, inputs, truth: classification_losses(network(inputs), truth, task.label_smoothing)
    if isinstance(task, Segmentation):
        return lambda network, inputs, truth: _segmentation_losses(task, network, inputs, truth)
    return lambda network, inputs, truth: _without_labels(task, network, inputs)


def no_search(task: Task) -> str:
    """Why cases of this task cannot be searched by their gradient; empty where they can.

    What is searched beside the inputs is a probability of every class, or nothing where a task asks for no truth.
    """
    if getattr(task, "own_loss", None) is not None:
        return "this search guesses probabilities of classes, and the study's own loss takes classes"
    if isinstance(task, Classification | Segmentation | Registration):
        return ""
    return "this search guesses probabilities of classes, and the task learns numbers"


def truth_shape(task: Task, shape: Shape, cases: int) -> tuple[int, ...]:
    """The shape of the probabilities of so many cases."""
    spatial = shape.inputs[1:] if isinstance(task, Segmentation) else ()
    return (cases, shape.classes, *spatial)


def classification_losses(logits: Tensor, truth: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """(N,) cross-entropy in nats of (N, classes) logits; smoothing spreads that share of the truth evenly."""
    smoothed = truth * (1 - label_smoothing) + label_smoothing / truth.shape[1]
    return -(smoothed * logits.log_softmax(1)).sum(1)


def _segmentation_losses(task: Segmentation, network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    def of_logits(logits: Tensor) -> Tensor:
        log_probabilities = logits.log_softmax(1)
        cross_entropy = -(truth * log_probabilities).sum(1).flatten(1).mean(1)
        return task.cross_entropy_weight * cross_entropy + task.dice_weight * _dice(log_probabilities.exp(), truth)

    return deep_losses(of_logits, logits_of_levels(network, inputs))


def _dice(probabilities: Tensor, truth: Tensor) -> Tensor:
    """As common.segmentation.loss.soft_dice_loss, for truth of any probability."""
    guess, believed = probabilities[:, 1:].flatten(2), truth[:, 1:].flatten(2)
    sizes = guess.sum(2) + believed.sum(2)
    return 1 - ((2 * (guess * believed).sum(2) + SMOOTHING_PIXELS) / (sizes + SMOOTHING_PIXELS)).mean(1)


def _without_labels(task: Task, network: nn.Module, inputs: Tensor) -> Tensor:
    targets = torch.zeros(inputs.shape[0], *inputs.shape[2:], dtype=torch.int64)
    return task.loss(network, Batch.of(inputs, targets, ("",) * len(inputs)))
