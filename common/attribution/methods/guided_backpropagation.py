"""As deconvnet, and at each ReLU only where it was open: what excites every unit on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.rectifiers import rectified_gradient


@dataclass(frozen=True)
class GuidedBackpropagation:
    """It has no options. Of a network with ReLUs; other non-linearities beside them pass their gradient."""

    source: ClassVar[str] = (
        "Springenberg, Dosovitskiy, Brox and Riedmiller 2015, Striving for simplicity (ICLR workshop)"
    )
    signed: ClassVar[bool] = True

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """Section 3.4 and figure 1. Raises AttributionError without a ReLU."""
        return rectified_gradient(network, inputs, aim, "guided_backpropagation").float()


attribution: type[Attribution] = GuidedBackpropagation
