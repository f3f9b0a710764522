"""Iterative refinement: one network outlines, sees its own outline beside the image, and mends it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.study.catalogue import NETWORKS
from common.study.checks import sized
from common.study.options import Entry

MOST_PASSES = 1000


@dataclass(frozen=True)
class Refinement:
    """The recurrent network of Pinheiro and Collobert (2014, section 3.2), around any network for outlines.

    base: that network; its weights are the same in every pass. passes: how often it looks. At first it sees the
    image beside equal probabilities of all classes, later beside those it gave itself; gradients flow through all
    passes.
    """

    base: Entry = field(default_factory=lambda: Entry("unet", {"channels": 8, "depth": 3}))
    passes: int = 2

    def __post_init__(self) -> None:
        sized("network 'refinement'", MOST_PASSES, passes=self.passes)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits of the last pass.

        Raises StudyError for tables, for a shape that `base` refuses, and for a base that supervises deeply.
        """
        channels, _ = channels_of_grid("refinement", shape)
        if self.base.options.get("deep_supervision"):
            raise StudyError("network 'refinement'.base gives one outline a pass: set its deep_supervision to false.")
        base = cast(Network, NETWORKS.build(self.base))
        inner = replace(shape, inputs=(channels + shape.classes, *shape.inputs[1:]))
        return Refining(base.build(inner), shape.classes, self.passes)


class Refining(nn.Module):
    """(N, channels, *S) -> (N, classes, *S) logits, by `passes` looks of `base` at the image and its own answer."""

    def __init__(self, base: nn.Module, classes: int, passes: int) -> None:
        super().__init__()
        self.base, self.classes, self.passes = base, classes, passes

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the last pass."""
        logits = images.new_zeros(images.shape[0], self.classes, *images.shape[2:])
        for _ in range(self.passes):
            logits = self.base(torch.cat([images, logits.softmax(1)], 1))
        return logits


network: type[Network] = Refinement
