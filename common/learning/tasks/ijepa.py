"""I-JEPA: what a slow copy of the encoder makes of hidden blocks is predicted from the rest (Assran et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, smooth_l1_loss

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Task
from common.learning.tasks._pretraining import CaseByCase, Pretraining, answer, exactly
from common.learning.tasks._token_reconstruction import TokenDecoder
from common.learning.tokens import chosen
from common.selfsupervision.blocks import BLOCKS, CONTEXT, BlockMasks, held_blocks, with_blocks
from common.selfsupervision.teacher import move_teacher, teacher_of
from common.selfsupervision.tokenised import (
    TokenEncoder,
    grid_of,
    has_tokens,
    module_of,
    own_patch,
    token_encoder_of,
)
from common.study.checks import between, sized
from common.study.options import Entry

MOST_BLOCKS = 64


@dataclass(frozen=True)
class IJepa(CaseByCase):
    """network: a transformer, whose last layer is left out. blocks: M, of about a sixth of all patches each, that are
    predicted from a third of the others. momentum: what the teacher keeps of itself in a step. predictor_width,
    predictor_depth, predictor_heads: of the transformer that predicts, which is left behind after pretraining.
    distance: between what is predicted and what the teacher says: "l2" as in the paper, squared, or "smooth_l1" as in
    its authors' code.

    loss: mean distance over all numbers of all blocks. The trivial one is that of zeros: what is predicted has mean
    0 and spread 1 at every place, so that it is 1 of "l2".
    """

    views: ClassVar[tuple[str, ...]] = (CONTEXT, BLOCKS)
    companion: ClassVar[tuple[str, ...]] = ("teacher",)
    follows_parameters: ClassVar[bool] = True

    network: Entry = field(default_factory=lambda: Entry("vit"))
    blocks: int = 4
    momentum: float = 0.99
    predictor_width: int = 32
    predictor_depth: int = 2
    predictor_heads: int = 4
    distance: Literal["smooth_l1", "l2"] = "smooth_l1"

    def __post_init__(self) -> None:
        if not has_tokens(self.network):
            raise StudyError(
                f"task 'ijepa' predicts what a transformer makes of patches, and network {self.network.name!r} has "
                "none: choose 'vit', or task 'mae', which takes other networks too."
            )
        sized("task", MOST_BLOCKS, blocks=self.blocks, predictor_depth=self.predictor_depth)
        sized("task", 1 << 12, predictor_width=self.predictor_width, predictor_heads=self.predictor_heads)
        between("task", 0, 1, momentum=self.momentum)
        if self.predictor_width % self.predictor_heads:
            raise StudyError(
                f"task.predictor_heads must divide task.predictor_width, {self.predictor_width}; it is "
                f"{self.predictor_heads}."
            )

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder`, `predictor`, and `teacher`, a copy of the first."""
        channels_of_grid(self.network.name, Shape(shape.inputs, 1))
        encoder, grid = token_encoder_of(self.network, shape), self._masks(shape).grid
        width, depth, heads = self.predictor_width, self.predictor_depth, self.predictor_heads
        predictor = TokenDecoder(encoder, grid, encoder.width, width=width, depth=depth, heads=heads)
        module = module_of(encoder)
        return Pretraining(module, predictor=predictor, teacher=teacher_of(encoder=module))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        return self._losses(network, batch.inputs, batch)[0]

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Of blocks that follow from each case alone."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            losses, taught = self._losses(exact, inputs, batch)
            return answer(losses, self._distances(torch.zeros_like(taught), taught), exact(inputs))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, which patches of each case are shown, and which predicted."""
        return with_blocks(batch, self._masks(Shape(tuple(batch.inputs.shape[1:]), 1)), rng)

    def follow(self, network: nn.Module) -> None:
        """The teacher, a little of the way."""
        move_teacher(network, self.momentum)

    def _losses(self, network: nn.Module, inputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(N,) losses, and (N, M * L, W) what was to be predicted."""
        masks = self._masks(Shape(tuple(inputs.shape[1:]), 1))
        context, blocks = (places.to(inputs.device) for places in held_blocks(batch, masks))
        encoder = cast(TokenEncoder, network.get_submodule("encoder"))
        shown = encoder.encoded(encoder.tokens(inputs, context))
        predictor, count = network.get_submodule("predictor"), blocks.shape[1]
        predicted = predictor(_for_each(shown, count), _for_each(context, count), blocks.flatten(0, 1))
        taught = _taught(cast(TokenEncoder, network.get_submodule("teacher.encoder")), inputs, blocks.flatten(1))
        return self._distances(predicted.reshape(taught.shape), taught), taught

    def _distances(self, predicted: Tensor, taught: Tensor) -> Tensor:
        """(N,)."""
        squared = self.distance == "l2"
        values = (predicted - taught).square() if squared else smooth_l1_loss(predicted, taught, reduction="none")
        return values.mean((1, 2))

    def _masks(self, shape: Shape) -> BlockMasks:
        return BlockMasks(grid_of(shape, own_patch(self.network, shape), "network.patch"), self.blocks)


def _for_each(values: Tensor, count: int) -> Tensor:
    """(N * count, ...) the values of a case, once for each of its blocks."""
    return values[:, None].expand(-1, count, *values.shape[1:]).flatten(0, 1)


def _taught(teacher: TokenEncoder, inputs: Tensor, places: Tensor) -> Tensor:
    """(N, K, W) what the teacher, who sees the whole image, says of some places; each of mean 0 and spread 1."""
    with torch.no_grad():
        said = teacher.encoded(teacher.tokens(inputs))[:, teacher.leading :]
        return chosen(layer_norm(said, said.shape[-1:]), places)


task: type[Task] = IJepa
