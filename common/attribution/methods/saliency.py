"""The size of the aim's gradient by every value of an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.gradients import input_gradient


@dataclass(frozen=True)
class Saliency:
    """It has no options."""

    source: ClassVar[str] = "Simonyan, Vedaldi and Zisserman 2014, Deep inside convolutional networks (ICLR workshop)"
    signed: ClassVar[bool] = False

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """|d aim / d x|, section 3.1 before the maximum over channels."""
        return input_gradient(network, inputs, aim).abs().float()


attribution: type[Attribution] = Saliency
