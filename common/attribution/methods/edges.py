"""A control, not an explanation: the edges of the image, which an edge filter finds without asking the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.errors import AttributionError


@dataclass(frozen=True)
class Edges:
    """It has no options. What a map must do better than: people take edges for explanations."""

    source: ClassVar[str] = "Adebayo et al. 2018, Sanity checks for saliency maps (NeurIPS), section 5.2"
    signed: ClassVar[bool] = False
    control: ClassVar[bool] = True

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """(N, 1, *S): the size of the image's own gradient, by central differences, over all channels."""
        if inputs.ndim < 3:
            raise AttributionError("edges are of images: the columns of a table are no neighbours.")
        axes = [axis for axis in range(2, inputs.ndim) if inputs.shape[axis] > 1]
        slopes = torch.gradient(inputs.detach(), dim=axes) if axes else [torch.zeros_like(inputs)]
        squares = torch.stack([slope.square() for slope in slopes]).sum(0)
        return squares.sum(1, keepdim=True).sqrt().float()


attribution: type[Attribution] = Edges
