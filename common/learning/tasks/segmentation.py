"""Segmentation of 2D images and volumes: one class a pixel, learned by soft Dice and cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.abilities import Drawn
from common.learning.class_weights import each_weights, weights_of
from common.learning.own_loss import OwnLoss
from common.learning.task import Task
from common.learning.tasks._network import build_fitting, refuse_numbers
from common.learning.tasks._patients import patients
from common.metrics.merged import SCORES, overlap_statistics, surface_statistics
from common.metrics.merged_lesions import SCORES as LESION_SCORES
from common.metrics.merged_lesions import lesion_statistics
from common.metrics.nearest import Outline
from common.segmentation.augmentation import augmented, draw
from common.segmentation.deep_supervision import deep_losses, logits_of_levels
from common.segmentation.loss import cross_entropy, soft_dice_loss, soft_losses
from common.segmentation.patches import cut_patches, draw_starts
from common.segmentation.windows import windowed_logits
from common.study.catalogue import NETWORKS
from common.study.checks import between, listed, non_negative, one_of, positive
from common.study.options import OPTION, Entry
from common.sums.mean import Mean, Statistics, merge

LARGEST_OVERLAP = 0.9


@dataclass(frozen=True)
class Segmentation:
    """network: from `common/learning/networks`. dice_weight, cross_entropy_weight: of the two parts of a case's loss.
    loss: a function of (N, classes, [D,] H, W) logits and (N, [D,] H, W) classes, in place of both parts.
    augmentation: "contrast" shows every training case flipped, and as some other scanner might have taken it.

    A case is an image (channels, H, W) or a volume (channels, D, H, W). Where the network has heads at coarser
    levels (`network.deep_supervision`), training weighs them 1/2, 1/4, ... of the finest; scores use the finest.

    patch: the shape, along the cases' axes, of what the network is shown in training, drawn from each case; () for
    whole cases. foreground_share: of patches that are centred on an outlined structure. In scores and predictions
    windows of that shape pass over each case, and overlap by at least window_overlap of their sides.

    scores: what is measured beside dice and loss, from dice, jaccard, precision, sensitivity, specificity, accuracy,
    f05, f2 and volume_similarity; the same but the last of all patients' voxels together, as pooled_dice, ...; hd,
    hd95, assd, masd and surface_dice; lesion by lesion lesion_f1, lesion_sensitivity, lesion_precision,
    segmentation_quality and panoptic_quality. surface: whether outlines are voxels of the border or elements that
    count by length or area. tolerance_mm: of surface_dice.

    Scores, class 0 being background: dice_1, dice_2, ... of each other class, over patients, all cases of a
    patient counted together: 0 where the class is only in the truth or only in the prediction; a patient who
    has it in neither is not counted (weight 0). dice: over patients, the mean of those that were counted.
    What the cases' column `removed` says was cut away from the truth counts as not found (false negatives).
    hd95: over patients, in mm ("hd95_voxels" where the spacing is not known), and missed, the share of structures
    that HD95 cannot measure. The others likewise; see common/metrics/merged.py. Of lesions, over all patients'
    lesions; see common/metrics/merged_lesions.py. loss: over cases.
    """

    headline: ClassVar[str] = "dice"
    drawn: ClassVar[Drawn] = "outlines"
    outlines: ClassVar[bool] = True

    network: Entry = field(default_factory=lambda: Entry("unet"))
    dice_weight: float = 1.0
    cross_entropy_weight: float = 1.0
    augmentation: Literal["none", "contrast"] = "none"
    patch: tuple[int, ...] = ()
    foreground_share: float = 1 / 3
    window_overlap: float = 0.5
    scores: tuple[str, ...] = ("dice", "hd95")
    surface: Literal["voxels", "elements"] = "voxels"
    tolerance_mm: float = 1.0
    own_loss: Entry | None = field(default=None, metadata={OPTION: "loss"})

    def __post_init__(self) -> None:
        if self._own_loss is not None and (self.dice_weight, self.cross_entropy_weight) != (1.0, 1.0):
            raise StudyError(
                "task.dice_weight and task.cross_entropy_weight are of the loss that task.loss replaces: remove them."
            )
        NETWORKS.build(self.network)
        non_negative("task", dice_weight=self.dice_weight, cross_entropy_weight=self.cross_entropy_weight)
        non_negative("task", tolerance_mm=self.tolerance_mm)
        positive("task", **{f"patch[{axis}]": side for axis, side in enumerate(self.patch)})
        between("task", 0, 1, foreground_share=self.foreground_share)
        between("task", 0, LARGEST_OVERLAP, window_overlap=self.window_overlap)
        one_of("task", ("voxels", "elements"), surface=self.surface)
        listed("task", scores=self.scores)
        for name in self.scores:
            one_of("task", (*SCORES, *LESION_SCORES), scores=name)
        if not self.dice_weight + self.cross_entropy_weight > 0:
            raise StudyError("task.dice_weight and task.cross_entropy_weight are both 0: nothing would be learned.")

    @property
    def patched(self) -> bool:
        """Scores and predictions lay windows of the patch's shape over a case of any size."""
        return bool(self.patch)

    @property
    def weighs_classes(self) -> bool:
        """Only the cross-entropy does, and no loss of the study's own."""
        return self.own_loss is None and self.cross_entropy_weight > 0

    def network_shape(self, shape: Shape) -> Shape:
        """The shape of what the network is shown of cases. Raises StudyError where that is not one shape."""
        channels, *sides = shape.inputs
        if self.patch and len(self.patch) != len(sides):
            raise StudyError(f"task.patch is {list(self.patch)}, but the cases have {len(sides)} axes ({sides}).")
        if not self.patch and 0 in sides:
            raise StudyError(
                "the cases differ in shape (source.size = 0): name task.patch, the shape of what the network is "
                f"shown ({len(sides)} numbers), or source.size, to which all are cropped or filled."
            )
        return Shape((channels, *(self.patch or sides)), shape.classes)

    def build_network(self, shape: Shape) -> nn.Module:
        """Logits (N, classes, [D,] H, W). Raises StudyError where the network does not fit the shape or the task."""
        refuse_numbers("segmentation", shape)
        shown = self.network_shape(shape)
        if self._own_loss is not None:
            targets = torch.arange(2)[:, None].expand(2, prod(shown.inputs[1:])).reshape(2, *shown.inputs[1:])
            self._own_loss.demand_usable((shape.classes, *shown.inputs[1:]), targets)
        return build_fitting(self.network, shown, (shape.classes, *shown.inputs[1:]), "segmentation")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: dice_weight * soft Dice loss + cross_entropy_weight * cross-entropy.

        Weights of classes are of the cross-entropy: Dice counts each class alike, however small it is. Of cases that
        are no patches, of what the windows over them say together.
        """
        if self.patch and any(tuple(one.shape[1:]) != self.patch for one in batch.each("inputs")):
            cases = zip(batch.each("inputs"), batch.each("targets"), each_weights(batch), strict=True)
            parts = ((self._logits(network, one), target[None], _alone(weights)) for one, target, weights in cases)
            return torch.cat([self._losses(*part) for part in parts])
        levels, weights = logits_of_levels(network, batch.inputs), weights_of(batch)
        return deep_losses(lambda logits: self._losses(logits, batch.targets, weights), levels)

    def soft_loss(
        self, network: nn.Module, inputs: Tensor, truth: Tensor, class_weights: Tensor | None = None
    ) -> Tensor:
        """(N,): the loss of what the network is shown, with (N, classes, [D,] H, W) probabilities.

        class_weights: of the cross-entropy; Dice counts each class alike.
        """

        def of_logits(logits: Tensor) -> Tensor:
            dice, entropy = soft_losses(logits, truth, class_weights)
            return self.cross_entropy_weight * entropy + self.dice_weight * dice

        return deep_losses(of_logits, logits_of_levels(network, inputs))

    def label_space(self, shape: Shape) -> tuple[int, ...]:
        """A probability a class and pixel of what the network is shown."""
        return (shape.classes, *shape.inputs[1:])

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Dice, loss and what `scores` names. A patient passes the network alone: no other changes the last bit."""
        with torch.no_grad():
            return merge(self._patient_scores(network, patient) for patient in patients(batch))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """A patch of every case where the task has patches; then as `augmentation` says."""
        if self.patch:
            batch = self._patches(batch, rng)
        if self.augmentation == "none":
            return batch
        return augmented(batch, draw(len(batch), batch.inputs.shape[1:], rng))

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, [D,] H, W) int64 class indices."""
        if self.patch:
            return torch.cat([self._logits(network, one).argmax(1) for one in inputs])
        answer: Tensor = network(inputs).argmax(1)
        return answer

    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, classes, [D,] H, W), of which a softmax over classes makes probabilities."""
        if self.patch:
            return torch.cat([self._logits(network, one) for one in inputs])
        answer: Tensor = network(inputs)
        return answer

    def _patches(self, batch: Batch, rng: np.random.Generator) -> Batch:
        images, targets = batch.each("inputs"), batch.each("targets")
        starts = draw_starts(targets, self.patch, self.foreground_share, rng)
        inputs, outlines = cut_patches(images, targets, starts, self.patch)
        return batch.with_columns(inputs=inputs, targets=outlines, affine=None, removed=None, unsampled=None)

    def _logits(self, network: nn.Module, image: Tensor) -> Tensor:
        """(1, classes, *S) of one case (channels, *S) under windows."""
        return windowed_logits(network, image, self.patch, self.window_overlap)[None]

    @cached_property
    def _own_loss(self) -> OwnLoss | None:
        return None if self.own_loss is None else OwnLoss(self.own_loss, "segmentation")

    def _losses(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        if self._own_loss is not None:
            return self._own_loss.of(logits, targets)
        log_probabilities = logits.float().log_softmax(1)
        losses = self.cross_entropy_weight * cross_entropy(log_probabilities, targets, weights)
        return losses + self.dice_weight * soft_dice_loss(log_probabilities.exp(), targets)

    def _patient_scores(self, network: nn.Module, patient: Batch) -> Statistics:
        predicted, losses, classes = self._answers(network, patient)
        truth, prediction = torch.stack(patient.each("targets")).cpu().numpy(), predicted.cpu().numpy()
        removed, labels = _removed(patient), range(1, classes)
        scores = dict(overlap_statistics(truth, prediction, labels, ("dice", *self.scores), removed))
        scores["loss"] = Mean.of(losses)
        scores |= lesion_statistics(truth, prediction, labels, self.scores)
        outline: Outline = "border" if self.surface == "voxels" else "elements"
        return scores | dict(
            surface_statistics(
                truth, prediction, labels, patient.spacing_mm, self.scores, self.tolerance_mm, outline, removed
            )
        )

    def _answers(self, network: nn.Module, patient: Batch) -> tuple[Tensor, list[float], int]:
        """Class indices and loss of every case, and the number of classes; under windows one case at a time."""
        if not self.patch:
            logits = network(patient.inputs)
            return logits.argmax(1), self._losses(logits, patient.targets).tolist(), logits.shape[1]
        predicted, losses = [], []
        for image, target in zip(patient.each("inputs"), patient.each("targets"), strict=True):
            logits = self._logits(network, image)
            predicted.append(logits.argmax(1))
            losses += self._losses(logits, target[None]).tolist()
        return torch.cat(predicted), losses, logits.shape[1]


def _alone(weights: Tensor | None) -> Tensor | None:
    return None if weights is None else weights[None]


def _removed(patient: Batch) -> NDArray[np.int64] | None:
    """(N, classes - 1) voxels of the truth of each class but the first that are no longer in the cases, if known."""
    return patient.tensor("removed").cpu().numpy()[:, 1:] if "removed" in patient.columns else None


task: type[Task] = Segmentation
