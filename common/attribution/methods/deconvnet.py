"""The answer sent back through the layers: pooling switches, and only what is positive of a signal at each ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.rectifiers import rectified_gradient


@dataclass(frozen=True)
class Deconvnet:
    """It has no options. Of a network with ReLUs; other non-linearities beside them pass their gradient."""

    source: ClassVar[str] = "Zeiler and Fergus 2014, Visualizing and understanding convolutional networks (ECCV)"
    signed: ClassVar[bool] = True

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """Section 2.1; unpooling is max pooling's own gradient. Raises AttributionError without a ReLU."""
        return rectified_gradient(network, inputs, aim, "deconvnet").float()


attribution: type[Attribution] = Deconvnet
