"""Planted abnormalities, outlined: what stands out of an image is learned where nobody has outlined anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import log, prod
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.abilities import Drawn
from common.learning.task import Task
from common.learning.tasks._pretraining import CaseByCase, Pretraining, answer, exactly
from common.learning.tokens import unpatchify
from common.learning.transformer import linear
from common.seeding import case_generators
from common.segmentation.augmentation import AugmentationDraws, augmented, draw
from common.segmentation.loss import cross_entropy, soft_dice_loss
from common.selfsupervision.feature_maps import MappedEncoder, map_of, mapped_encoder
from common.selfsupervision.held import generators_of
from common.selfsupervision.planting import drawn_plant, planted
from common.study.catalogue import NETWORKS
from common.study.checks import between, one_of, positive
from common.study.options import Entry

OUTLINE = "outline"
"""The column of a batch that has been planted: (N, *S) int64."""
TYPICAL = 0.05
"""Share of an image that a blob takes: what is answered everywhere where nothing was learned."""
MOST_CONTRAST = 100.0
COARSE = 8
"""Parts along each axis of what is watched."""


@dataclass(frozen=True)
class Planted(CaseByCase):
    """network: whose last layer is left out, such as `unet`, way up included, from `common/learning/networks`.

    share: of cases into which a blob is planted. least_radius, largest_radius: of it along each axis, as shares of a
    side. least_contrast, largest_contrast: by how many of the image's standard deviations it is brighter or darker.
    augmentation: "contrast" shows a planted case as some other scanner might have taken it, as in segmentation.

    loss: cross-entropy and soft Dice loss of the planted blob's outline. The trivial one is that of who says
    everywhere what share of an image blobs take. After Tan et al. 2020 (foreign patch interpolation) and Zavrtanik et
    al. 2021 (DRAEM), who find abnormalities so, and learn no further.
    """

    drawn: ClassVar[Drawn] = "panels"
    watched: ClassVar[tuple[str, ...]] = ("answer_spread",)
    """Features may well lie close together: what lies where is told by the map, and not by the means that they are."""
    views: ClassVar[tuple[str, ...]] = (OUTLINE,)

    network: Entry = field(default_factory=lambda: Entry("unet"))
    share: float = 0.7
    least_radius: float = 0.06
    largest_radius: float = 0.28
    least_contrast: float = 0.6
    largest_contrast: float = 2.5
    augmentation: Literal["none", "contrast"] = "none"

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        between("task", 0, 1, share=self.share, largest_radius=self.largest_radius)
        between("task", 0, MOST_CONTRAST, largest_contrast=self.largest_contrast)
        positive("task", least_radius=self.least_radius, least_contrast=self.least_contrast)
        one_of("task", ("none", "contrast"), augmentation=self.augmentation)
        for name in ("radius", "contrast"):
            least, largest = getattr(self, f"least_{name}"), getattr(self, f"largest_{name}")
            if least > largest:
                raise StudyError(f"task.least_{name} may be at most task.largest_{name}, {largest}; it is {least}.")

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder` and `decoder`."""
        return PlantedOutlines(mapped_encoder(self.network, shape))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        inputs, outlines = self._planted(batch)
        return _losses(cast(PlantedOutlines, network).outlined(inputs), outlines)

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """With blobs that follow from each case alone."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            shown, outlines = self._planted(batch.with_columns(inputs=inputs))
            logits = cast(PlantedOutlines, exact).outlined(shown)
            trivial = _losses(torch.full_like(logits, log(TYPICAL / (1 - TYPICAL))), outlines)
            return answer(_losses(logits, outlines), trivial, exact(inputs), answer=_coarse(logits.sigmoid()))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Cases with blobs, and their outlines beside them. A case alone gets what it gets among others."""
        generators, shape = case_generators(rng, len(batch)), tuple(batch.inputs.shape[1:])
        inputs, outlines = planted(batch.inputs, self._drawn(generators, shape).to(batch.inputs.device))
        if self.augmentation == "contrast":
            pairs = batch.with_columns(inputs=inputs, targets=outlines)
            changed = augmented(pairs, _together([draw(1, shape, one) for one in generators]))
            inputs, outlines = changed.inputs, changed.targets
        return batch.with_columns(**{"inputs": inputs, OUTLINE: outlines})

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The first channel of an image with a blob, the blob, and how surely the network says that it is there."""
        shown, outlines = self._planted(batch)
        believed = cast(PlantedOutlines, network).outlined(shown).sigmoid()
        return {"image": shown[0, 0], "planted": outlines[0].to(shown), "outlined": believed[0].to(shown)}

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return f"{super().meaning(value)}; the image is shown as it is, with nothing planted"

    def _planted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the network is shown, and the outlines."""
        inputs = batch.inputs
        if OUTLINE in batch.columns:
            return inputs, batch.tensor(OUTLINE).to(inputs.device)
        drawn = self._drawn(generators_of(inputs, "plants"), tuple(inputs.shape[1:]))
        return planted(inputs, drawn.to(inputs.device))

    def _drawn(self, generators: list[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
        radii, contrasts = (self.least_radius, self.largest_radius), (self.least_contrast, self.largest_contrast)
        axes = len(shape) - 1
        rows = [drawn_plant(one, axes, share=self.share, radii=radii, contrasts=contrasts) for one in generators]
        return torch.from_numpy(np.stack(rows))


class PlantedOutlines(Pretraining):
    """`encoder`, and `decoder`: one linear layer for each place of its map, which answers the pixels lying there."""

    def __init__(self, encoder: MappedEncoder) -> None:
        super().__init__(encoder.network, decoder=linear(encoder.width, prod(encoder.stride)))
        self.stride, self.source = encoder.stride, encoder.source

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) features: the encoder's, or the mean of a map that is all it answers."""
        answered: Tensor = self.encoder(inputs)
        return answered.flatten(2).mean(2) if answered.ndim > 2 else answered

    def outlined(self, inputs: Tensor) -> Tensor:
        """(N, *S) logits of a blob."""
        features = map_of(self.encoder, self.source, inputs).flatten(2).transpose(1, 2)
        return unpatchify(self.get_submodule("decoder")(features), self.stride, tuple(inputs.shape[2:]))[:, 0]


def _coarse(outlined: Tensor) -> Tensor:
    """(N, F) means of (N, *S) over parts of an image: where something is seen."""
    sides = tuple(min(COARSE, side) for side in outlined.shape[1:])
    return interpolate(outlined[:, None], size=sides, mode="area").flatten(1)


def _losses(logits: Tensor, outlines: Tensor) -> Tensor:
    """(N,)."""
    log_probabilities = torch.stack([torch.zeros_like(logits), logits], 1).log_softmax(1)
    return cross_entropy(log_probabilities, outlines) + soft_dice_loss(log_probabilities.exp(), outlines)


def _together(draws: list[AugmentationDraws]) -> AugmentationDraws:
    return AugmentationDraws(
        **{one.name: np.concatenate([getattr(own, one.name) for own in draws]) for one in fields(AugmentationDraws)}
    )


task: type[Task] = Planted
