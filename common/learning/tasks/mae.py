"""Masked autoencoder: most patches of an image are hidden, and painted from the others (He et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.abilities import Drawn
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Task
from common.learning.tasks._pixel_reconstruction import PixelReconstruction
from common.learning.tasks._pretraining import CaseByCase, answer, exactly
from common.learning.tasks._token_reconstruction import TokenDecoder, TokenReconstruction
from common.learning.tokens import chosen, patchify, unpatchify
from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.drawn_views import seen
from common.selfsupervision.feature_maps import mapped_encoder
from common.selfsupervision.masks import MASK, VIEW, count_of_visible, held_masks, parted, with_masks
from common.selfsupervision.tokenised import grid_of, has_tokens, own_patch, token_encoder_of
from common.study.catalogue import AUGMENTATIONS, NETWORKS
from common.study.checks import probability, sized
from common.study.options import Entry

EVEN = 1e-6
"""Added to the variance of a patch that its values are divided by the root of (He et al. 2022, their code)."""
LEAST_TRIVIAL = 1e-9
"""Loss below which an image, black all over, has nothing to explain."""
Reconstruction = TokenReconstruction | PixelReconstruction


@dataclass(frozen=True)
class Mae(CaseByCase):
    """network: whose last layer is left out, from `common/learning/networks`. A transformer is shown the visible
    patches alone, and a decoder of its own paints the others; any other network is shown an image with gaps, and one
    linear layer paints (Xie et al. 2022).

    masked: share of patches that are hidden. patch: side of a patch where the network has none of its own.
    normalised: whether each patch is to be painted less its mean and over its spread. decoder_width, decoder_depth,
    decoder_heads: of a transformer's decoder, which is left behind after pretraining. augmentation: what every case
    is shown changed by in training, from `common/selfsupervision/augmentations`; not given: it is not.

    loss: mean squared error of hidden pixels. The trivial one is that of each image's mean; of patches that are
    normalised, that of their mean: 1 but where a patch is even.
    """

    drawn: ClassVar[Drawn] = "panels"

    network: Entry = field(default_factory=lambda: Entry("vit"))
    masked: float = 0.75
    patch: int = 4
    normalised: bool = True
    decoder_width: int = 32
    decoder_depth: int = 1
    decoder_heads: int = 4
    augmentation: Entry | None = None

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        self._pipeline()
        probability("task", masked=self.masked)
        sized("task", 1 << 12, patch=self.patch, decoder_width=self.decoder_width, decoder_heads=self.decoder_heads)
        sized("task", 64, decoder_depth=self.decoder_depth)
        if self.decoder_width % self.decoder_heads:
            raise StudyError(
                f"task.decoder_heads must divide task.decoder_width, {self.decoder_width}; it is "
                f"{self.decoder_heads}."
            )

    @property
    def views(self) -> tuple[str, ...]:
        """Which patches are hidden, and how the case is changed."""
        return (MASK,) if self.augmentation is None else (MASK, VIEW)

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder` and `decoder`; of a network without tokens, `blank` too."""
        channels, _ = channels_of_grid(self.network.name, Shape(shape.inputs, 1))
        patch = self._patch(shape)
        grid, values = grid_of(shape, patch, "task.patch"), prod(patch) * channels
        if self.normalised and values < 2:
            raise StudyError("task.normalised needs patches of two values or more: a single one has no spread.")
        count_of_visible(prod(grid), self.masked)
        if not has_tokens(self.network):
            return PixelReconstruction(mapped_encoder(self.network, shape), channels, patch)
        encoder = token_encoder_of(self.network, shape)
        width, depth, heads = self.decoder_width, self.decoder_depth, self.decoder_heads
        return TokenReconstruction(
            encoder, TokenDecoder(encoder, grid, values, width=width, depth=depth, heads=heads)
        )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        seen_inputs = batch.inputs
        if self.augmentation is not None and VIEW in batch.columns:
            seen_inputs = seen(self.augmentation, seen_inputs, batch.tensor(VIEW))
        return self._losses(network, seen_inputs, batch)[0]

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """With patches hidden that follow from each case alone."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            losses, truth = self._losses(exact, inputs, batch)
            trivial = self._trivial(truth)
            known = torch.where(trivial > LEAST_TRIVIAL, trivial, losses.clamp(min=LEAST_TRIVIAL))
            return answer(losses, known, exact(inputs))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, which patches of each case are hidden, and how it is changed."""
        return with_masks(batch, self._patches(batch.inputs), self.masked, rng, self._pipeline())

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The first channel of an image, what was shown of it, and the image with what was painted in the gaps."""
        inputs, patch = batch.inputs, self._patch(_shape_of(batch.inputs))
        visible, hidden = self._parted(inputs, batch)
        painted, truth = cast(Reconstruction, network).painted(inputs, visible, hidden), patchify(inputs, patch)
        if self.normalised:
            mean, spread = _moments(chosen(truth, hidden))
            painted = painted * spread + mean
        places = hidden[:, :, None].expand_as(painted)
        sides = tuple(inputs.shape[2:])
        pictures = {
            "image": truth,
            "shown": truth.scatter(1, places, float(truth.min())),
            "painted": truth.scatter(1, places, painted.to(truth)),
        }
        return {name: unpatchify(patches, patch, sides)[0, 0] for name, patches in pictures.items()}

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return f"{super().meaning(value)}; the whole image is shown, with no patch hidden"

    def _losses(self, network: nn.Module, inputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(N,) losses, and (N, M, P) what was to be painted."""
        visible, hidden = self._parted(inputs, batch)
        truth = chosen(patchify(inputs, self._patch(_shape_of(inputs))), hidden)
        if self.normalised:
            mean, spread = _moments(truth)
            truth = (truth - mean) / spread
        painted = cast(Reconstruction, network).painted(inputs, visible, hidden)
        return (painted - truth).square().mean((1, 2)), truth

    def _trivial(self, truth: Tensor) -> Tensor:
        """(N,) the loss of who knows the means alone."""
        known = 0.0 if self.normalised else truth.mean((1, 2), keepdim=True)
        return (truth - known).square().mean((1, 2))

    def _parted(self, inputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Places of visible and of hidden patches, on the device of the inputs."""
        patches = self._patches(inputs)
        mask = held_masks(batch, patches, self.masked).to(inputs.device)
        return parted(mask, count_of_visible(patches, self.masked))

    def _pipeline(self) -> Augmentation | None:
        return None if self.augmentation is None else cast(Augmentation, AUGMENTATIONS.build(self.augmentation))

    def _patches(self, inputs: Tensor) -> int:
        shape = _shape_of(inputs)
        return prod(grid_of(shape, self._patch(shape), "task.patch"))

    def _patch(self, shape: Shape) -> tuple[int, ...]:
        """Sides of what is hidden."""
        return own_patch(self.network, shape) if has_tokens(self.network) else (self.patch,) * (len(shape.inputs) - 1)


def _shape_of(inputs: Tensor) -> Shape:
    return Shape(tuple(inputs.shape[1:]), 1)


def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """(N, M, 1) mean, and root of the variance of each patch."""
    return patches.mean(2, keepdim=True), (patches.var(2, keepdim=True) + EVEN).sqrt()


task: type[Task] = Mae
