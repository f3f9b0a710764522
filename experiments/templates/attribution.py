"""An attribution of your own: how much of an answer rests on each value of a case."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.gradients import input_gradient
from common.seeding import case_generators
from common.study.checks import positive


@dataclass(frozen=True)
class Mine:
    """looks: at each case with other noise, whose gradients' sizes are averaged. noise: its deviation, as a share of
    the range of the case's values.
    """

    source: ClassVar[str] = "Smilkov et al. 2017, SmoothGrad (arXiv 1706.03825)"
    signed: ClassVar[bool] = False

    looks: int = 8
    noise: float = 0.1

    def __post_init__(self) -> None:
        positive("attribution", looks=self.looks, noise=self.noise)

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """A map of each case by itself, float32; the network is left as it was. AttributionError where it cannot."""
        generators = case_generators(rng, len(inputs))
        spread = self.noise * (inputs.flatten(1).amax(1) - inputs.flatten(1).amin(1))
        total = torch.zeros_like(inputs)
        for _ in range(self.looks):
            drawn = torch.stack([torch.from_numpy(one.standard_normal(inputs.shape[1:])) for one in generators])
            noise = drawn.to(inputs) * spread.reshape(-1, *(1,) * (inputs.ndim - 1))
            total += input_gradient(network, inputs + noise, aim).abs()
        return (total / self.looks).float()


attribution: type[Attribution] = Mine
