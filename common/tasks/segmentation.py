"""Segmentation of 2D images and volumes: one class a pixel, learned by soft Dice and cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.cases import Batch, Shape
from common.catalogue import NETWORKS
from common.checks import listed, non_negative, one_of
from common.errors import StudyError
from common.mean import Mean, Statistics, merge
from common.metrics.merged import SCORES, overlap_statistics, surface_statistics
from common.metrics.nearest import Outline
from common.options import Entry
from common.segmentation.augmentation import augmented, draw
from common.segmentation.deep_supervision import deep_losses, logits_of_levels
from common.segmentation.loss import cross_entropy, soft_dice_loss
from common.task import Task
from common.tasks._network import build_fitting, refuse_numbers
from common.tasks._patients import patients


@dataclass(frozen=True)
class Segmentation:
    """network: from `common/networks`. dice_weight, cross_entropy_weight: of the two parts of a case's loss.
    augmentation: "contrast" shows every training case flipped, and as some other scanner might have taken it.

    A case is an image (channels, H, W) or a volume (channels, D, H, W). Where the network has heads at coarser
    levels (`network.deep_supervision`), training weighs them 1/2, 1/4, ... of the finest; scores use the finest.

    scores: what is measured beside dice and loss, from dice, jaccard, precision, sensitivity, specificity, accuracy,
    f05, f2 and volume_similarity; the same but the last of all patients' voxels together, as pooled_dice, ...; hd,
    hd95, assd, masd and surface_dice. surface: whether outlines are voxels of the border or elements that count by
    length or area. tolerance_mm: of surface_dice.

    Scores, class 0 being background: dice_1, dice_2, ... of each other class, over patients, all cases of a
    patient counted together: 0 where the class is only in the truth or only in the prediction; a patient who
    has it in neither is not counted (weight 0). dice: over patients, the mean of those that were counted.
    hd95: over patients, in mm ("hd95_voxels" where the spacing is not known), and missed, the share of structures
    that HD95 cannot measure. The others likewise; see common/metrics/merged.py. loss: over cases.
    """

    headline: ClassVar[str] = "dice"

    network: Entry = field(default_factory=lambda: Entry("unet"))
    dice_weight: float = 1.0
    cross_entropy_weight: float = 1.0
    augmentation: Literal["none", "contrast"] = "none"
    scores: tuple[str, ...] = ("dice", "hd95")
    surface: Literal["voxels", "elements"] = "voxels"
    tolerance_mm: float = 1.0

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        non_negative("task", dice_weight=self.dice_weight, cross_entropy_weight=self.cross_entropy_weight)
        non_negative("task", tolerance_mm=self.tolerance_mm)
        one_of("task", ("voxels", "elements"), surface=self.surface)
        listed("task", scores=self.scores)
        for name in self.scores:
            one_of("task", SCORES, scores=name)
        if not self.dice_weight + self.cross_entropy_weight > 0:
            raise StudyError("task.dice_weight and task.cross_entropy_weight are both 0: nothing would be learned.")

    def build_network(self, shape: Shape) -> nn.Module:
        """Logits (N, classes, [D,] H, W). Raises StudyError where the network does not fit the shape or the task."""
        refuse_numbers("segmentation", shape)
        return build_fitting(self.network, shape, (shape.classes, *shape.inputs[1:]), "segmentation")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: dice_weight * soft Dice loss + cross_entropy_weight * cross-entropy."""
        levels = logits_of_levels(network, batch.inputs)
        return deep_losses(lambda logits: self._losses(logits, batch.targets), levels)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Dice, loss and what `scores` names. A patient passes the network alone: no other changes the last bit."""
        with torch.no_grad():
            return merge(self._patient_scores(network, patient) for patient in patients(batch))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch as `augmentation` says."""
        if self.augmentation == "none":
            return batch
        return augmented(batch, draw(len(batch), batch.inputs.shape[1:], rng))

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, [D,] H, W) int64 class indices."""
        answer: Tensor = network(inputs).argmax(1)
        return answer

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_probabilities = logits.float().log_softmax(1)
        losses = self.cross_entropy_weight * cross_entropy(log_probabilities, targets)
        return losses + self.dice_weight * soft_dice_loss(log_probabilities.exp(), targets)

    def _patient_scores(self, network: nn.Module, patient: Batch) -> Statistics:
        logits = network(patient.inputs)
        truth, prediction = patient.targets.numpy(), logits.argmax(1).numpy()
        labels = range(1, logits.shape[1])
        scores = dict(overlap_statistics(truth, prediction, labels, ("dice", *self.scores)))
        scores["loss"] = Mean.of(self._losses(logits, patient.targets).tolist())
        outline: Outline = "border" if self.surface == "voxels" else "elements"
        return scores | dict(
            surface_statistics(truth, prediction, labels, patient.spacing_mm, self.scores, self.tolerance_mm, outline)
        )


task: type[Task] = Segmentation
