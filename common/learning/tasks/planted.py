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
from common.learning.parameters import refuse_unsuitable
from common.learning.task import Network, Task
from common.learning.tasks._pretraining import CaseByCase, Pretraining, answer, exactly
from common.learning.tokens import unpatchify
from common.learning.transformer import linear
from common.seeding import case_generators
from common.segmentation.augmentation import AugmentationDraws, augmented, draw
from common.segmentation.deep_supervision import deep_losses, logits_of_levels
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
    """network: such as `unet`, from `common/learning/networks`. One that outlines is learned to its last layer, for
    two classes; of any other the last layer is left out, and a linear one outlines.

    share: of cases into which a blob is planted. darker: share of blobs that are darker than the body around; 0 where
    what is sought is bright. least_radius, largest_radius: of it along each axis, as shares of a
    side. least_contrast, largest_contrast: by how many of the image's standard deviations it is brighter or darker.
    augmentation: "contrast" shows a planted case as some other scanner might have taken it, as in segmentation.

    loss: cross-entropy and soft Dice loss of the planted blob's outline. The trivial one is that of who says
    everywhere what share of an image blobs take. After Tan et al. 2020 (foreign patch interpolation) and Zavrtanik et
    al. 2021 (DRAEM), who find abnormalities so, and learn no further.
    """

    drawn: ClassVar[Drawn] = "panels"
    watched: ClassVar[tuple[str, ...]] = ("answer_spread",)
    """Features may well lie close together: what lies where is told by the map, not by means of it."""
    views: ClassVar[tuple[str, ...]] = (OUTLINE,)

    network: Entry = field(default_factory=lambda: Entry("unet"))
    share: float = 0.7
    darker: float = 0.5
    least_radius: float = 0.06
    largest_radius: float = 0.28
    least_contrast: float = 0.6
    largest_contrast: float = 2.5
    augmentation: Literal["none", "contrast"] = "none"

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        between("task", 0, 1, share=self.share, darker=self.darker, largest_radius=self.largest_radius)
        between("task", 0, MOST_CONTRAST, largest_contrast=self.largest_contrast)
        positive("task", least_radius=self.least_radius, least_contrast=self.least_contrast)
        one_of("task", ("none", "contrast"), augmentation=self.augmentation)
        for name in ("radius", "contrast"):
            least, largest = getattr(self, f"least_{name}"), getattr(self, f"largest_{name}")
            if least > largest:
                raise StudyError(f"task.least_{name} may be at most task.largest_{name}, {largest}; it is {least}.")

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder`; of a network that does not outline, `decoder` too."""
        whole = cast(Network, NETWORKS.build(self.network)).build(Shape(shape.inputs, 2))
        if _outlines(whole, shape):
            refuse_unsuitable(whole)
            return PlantedOutlines(whole)
        return DecodedOutlines(mapped_encoder(self.network, shape))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        inputs, outlines = self._planted(batch)
        levels = cast(Outlining, network).levels(inputs)
        return deep_losses(lambda logits: _losses(logits, outlines), levels)

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """With blobs that follow from each case alone."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            shown, outlines = self._planted(batch.with_columns(inputs=inputs))
            logits = cast(Outlining, exact).levels(shown)[0]
            odds = logits.new_tensor([0.0, log(TYPICAL / (1 - TYPICAL))]).reshape(1, 2, *(1,) * (logits.ndim - 2))
            trivial = _losses(odds.expand_as(logits), outlines)
            seen = _coarse(logits.softmax(1)[:, 1])
            return answer(_losses(logits, outlines), trivial, exact(inputs), answer=seen)

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
        believed = cast(Outlining, network).levels(shown)[0].softmax(1)[0, 1]
        return {"image": shown[0, 0], "planted": outlines[0].to(shown), "outlined": believed.to(shown)}

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
        shares = {"share": self.share, "darker": self.darker}
        rows = [drawn_plant(one, axes, radii=radii, contrasts=contrasts, **shares) for one in generators]
        return torch.from_numpy(np.stack(rows))


class PlantedOutlines(Pretraining):
    """`encoder`: a whole network of two classes, whose last layer is worth keeping too."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) features: means of what the last convolution is shown."""
        found: list[Tensor] = []
        layers = [part for part in self.encoder.modules() if isinstance(part, nn.Conv2d | nn.Conv3d)]
        handles = [part.register_forward_pre_hook(lambda _part, given: found.append(given[0])) for part in layers]
        try:
            self.encoder(inputs)
        finally:
            for handle in handles:
                handle.remove()
        return found[-1].flatten(2).mean(2)

    def levels(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, 2, *S) logits, full resolution first."""
        return logits_of_levels(self.encoder, inputs)


class DecodedOutlines(Pretraining):
    """`encoder` of any network that keeps a map, and `decoder`: one linear layer, which answers the pixels that lie
    at each place of it.
    """

    def __init__(self, encoder: MappedEncoder) -> None:
        super().__init__(encoder.network, decoder=linear(encoder.width, 2 * prod(encoder.stride)))
        self.stride, self.source = encoder.stride, encoder.source

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) features: the encoder's, or the mean of a map that is all it answers."""
        answered: Tensor = self.encoder(inputs)
        return answered.flatten(2).mean(2) if answered.ndim > 2 else answered

    def levels(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, 2, *S) logits."""
        features = map_of(self.encoder, self.source, inputs).flatten(2).transpose(1, 2)
        return (unpatchify(self.get_submodule("decoder")(features), self.stride, tuple(inputs.shape[2:])),)


Outlining = PlantedOutlines | DecodedOutlines


def _outlines(network: nn.Module, shape: Shape) -> bool:
    with torch.no_grad():
        answered = network(torch.zeros(1, *shape.inputs))
    return isinstance(answered, Tensor) and answered.shape == (1, 2, *shape.inputs[1:])


def _coarse(outlined: Tensor) -> Tensor:
    """(N, F) means of (N, *S) over parts of an image: where something is seen."""
    sides = tuple(min(COARSE, side) for side in outlined.shape[1:])
    return interpolate(outlined[:, None], size=sides, mode="area").flatten(1)


def _losses(logits: Tensor, outlines: Tensor) -> Tensor:
    """(N,)."""
    log_probabilities = logits.log_softmax(1)
    return cross_entropy(log_probabilities, outlines) + soft_dice_loss(log_probabilities.exp(), outlines)


def _together(draws: list[AugmentationDraws]) -> AugmentationDraws:
    return AugmentationDraws(
        **{one.name: np.concatenate([getattr(own, one.name) for own in draws]) for one in fields(AugmentationDraws)}
    )


task: type[Task] = Planted
