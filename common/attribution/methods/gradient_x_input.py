"""The aim's gradient times the input: of a linear network, each value's own part of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.gradients import input_gradient


@dataclass(frozen=True)
class GradientXInput:
    """It has no options."""

    source: ClassVar[str] = (
        "Shrikumar, Greenside, Shcherbina and Kundaje 2016, Not just a black box (arXiv 1605.01713)"
    )
    signed: ClassVar[bool] = True

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """x times d aim / d x."""
        return (inputs.detach() * input_gradient(network, inputs, aim)).float()


attribution: type[Attribution] = GradientXInput
