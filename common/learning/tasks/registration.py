"""Registration of pairs of images: one displacement a pair, learned without any that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.abilities import Drawn
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._patients import mean_of_one, patients
from common.metrics.overlap import Overlap, dice
from common.registration.learned.similarity import label_loss, local_correlation_loss, mean_squared_difference
from common.registration.learned.spatial_transformer import (
    jacobian_determinant,
    on_lattice,
    shrunk,
    squared_gradient,
    warp,
)
from common.study.catalogue import NETWORKS
from common.study.checks import non_negative, one_of, positive
from common.study.options import Entry
from common.sums.mean import Mean, Statistics, merge


@dataclass(frozen=True)
class Registration:
    """network: from `common/learning/networks`, "voxelmorph" or "affine_pair". similarity: "local_correlation" (1 -
    squared correlation) or "difference" (mean squared). window: sides of the boxes of local correlation, in voxels.
    smoothness: weight of the mean squared gradient of the displacement in voxels (Balakrishnan et al. 2019,
    equation 2). shrink: all is taken on images averaged over so many voxels along each axis, of which `window` then
    counts. shuffle_pairs: every moving image of a training batch is laid on the fixed image of a random pair of the
    batch, so that n pairs teach as n^2 do. label_weight: of 1 - soft Dice of the moved labels with the fixed ones
    (Balakrishnan et al. 2019, equation 9); at 0 training never looks at labels.

    Cases are pairs: inputs (N, 2, *S), moving and fixed image; targets (N, 2, *S), their labels. Scores, over pairs,
    both directions of a pair counted together: dice and dice_1, dice_2, ... of the moved labels with the fixed ones;
    dice_before of the labels as they came; folded: the share of voxels where the field folds, negative Jacobian;
    loss: over cases. Where the true displacement is known: epe_mm and epe_before_mm, the mean distance over labelled
    voxels of the fixed image to where they should be taken, over cases ("epe_voxels" without a known spacing).
    """

    headline: ClassVar[str] = "dice"
    drawn: ClassVar[Drawn] = "pair"

    network: Entry = field(default_factory=lambda: Entry("voxelmorph"))
    similarity: Literal["local_correlation", "difference"] = "local_correlation"
    window: int = 5
    smoothness: float = 0.1
    shrink: int = 1
    shuffle_pairs: bool = False
    label_weight: float = 0.0

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        one_of("task", ("local_correlation", "difference"), similarity=self.similarity)
        non_negative("task", smoothness=self.smoothness, label_weight=self.label_weight)
        positive("task", shrink=self.shrink)
        if self.window < 3 or self.window % 2 == 0:
            raise StudyError(f"task.window must be an odd number of voxels from 3; it is {self.window}.")

    def build_network(self, shape: Shape) -> nn.Module:
        """A network of displacements (N, D, *S). Raises StudyError where it does not fit pairs of images."""
        sizes = shape.inputs[1:]
        return build_fitting(self.network, shape, (len(sizes), *sizes), "registration")

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: dissimilarity of moved and fixed image + smoothness * squared gradient of the field."""
        return self._losses(batch, network(batch.inputs).float())

    @property
    def soft_loss(self) -> Callable[[nn.Module, Tensor, Tensor], Tensor] | None:
        """The loss asks for no truth; there is none to be guessed where labels teach as well."""
        return None if self.label_weight else self._unlabelled_loss

    def label_space(self, shape: Shape) -> tuple[int, ...]:
        """None."""
        return (0,)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Dice before and after, folds, and loss. A pair passes the network alone."""
        with torch.no_grad():
            return merge(self._pair_scores(network, pair) for pair in patients(batch))

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """Shape of one target: the label maps of both images."""
        return shape.inputs

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch, its fixed images in another order where `shuffle_pairs` says so."""
        if not self.shuffle_pairs:
            return batch
        order = torch.from_numpy(rng.permutation(len(batch)))
        inputs, targets = (_repaired(values, order) for values in (batch.inputs, batch.targets))
        return batch.with_columns(inputs=inputs, targets=targets, displacement=None)

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return "a displacement in voxels along each axis: where each voxel of the fixed image lies in the moving one"

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, D, *S) int64: displacement in voxels, rounded."""
        answer: Tensor = network(inputs).round().long()
        return answer

    def _unlabelled_loss(self, network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
        return self.loss(network, Batch.of(inputs, torch.zeros_like(inputs), ("",) * len(inputs)))

    def _losses(self, batch: Batch, displacement: Tensor) -> Tensor:
        images = shrunk(batch.inputs, self.shrink)
        field = on_lattice(displacement, tuple(images.shape[2:]))
        moving, fixed = images[:, :1], images[:, 1:]
        warped = warp(moving, field)
        if self.similarity == "difference":
            dissimilarity = mean_squared_difference(warped, fixed)
        else:
            dissimilarity = local_correlation_loss(warped, fixed, self.window)
        losses = dissimilarity + self.smoothness * squared_gradient(field)
        if self.label_weight:
            losses = losses + self.label_weight * label_loss(batch.targets, field, self.shrink)
        return losses

    def _pair_scores(self, network: nn.Module, pair: Batch) -> Statistics:
        displacement = network(pair.inputs).float()
        moving, fixed = pair.targets[:, :1], pair.targets[:, 1:]
        moved = warp(moving.float(), displacement, mode="nearest", padding="zeros").long()
        classes = int(pair.targets.max()) + 1
        truth, *others = (labels.cpu().numpy() for labels in (fixed, moved, moving))
        after, before = (dice(Overlap.of(truth, other, classes))[1:] for other in others)
        folded = (jacobian_determinant(displacement) <= 0).cpu().double().mean()
        scores = {f"dice_{index}": mean_of_one(value) for index, value in enumerate(after, start=1)}
        scores["dice"], scores["dice_before"] = _mean_over_labels(after), _mean_over_labels(before)
        scores |= _endpoint_errors(pair, displacement)
        scores["folded"] = Mean.of([float(folded)])
        scores["loss"] = Mean.of(self._losses(pair, displacement).tolist())
        return scores


def _endpoint_errors(pair: Batch, displacement: Tensor) -> Statistics:
    if pair.displacement is None:
        return {}
    unit = "mm" if pair.spacing_mm else "voxels"
    spacing = displacement.new_tensor(pair.spacing_mm or (1.0,) * (displacement.ndim - 2))
    scale = spacing.reshape(1, -1, *(1 for _ in spacing))
    counted = pair.targets[:, 1] > 0
    errors = {"epe": displacement - pair.displacement, "epe_before": pair.displacement}
    return {
        f"{name}_{unit}": Mean.of([
            float(distance[inside if inside.any() else ...].cpu().double().mean())
            for distance, inside in zip((error * scale).norm(dim=1), counted, strict=True)
        ])
        for name, error in errors.items()
    }  # fmt: skip


def _repaired(pairs: Tensor, order: Tensor) -> Tensor:
    return torch.cat([pairs[:, :1], pairs[order, 1:]], dim=1)


def _mean_over_labels(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Mean:
    counted = values[~np.isnan(values)]
    return Mean.of([counted.mean()]) if len(counted) else Mean()


task: type[Task] = Registration
