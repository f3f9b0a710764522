"""Gradients summed on the straight way from a case without anything to see: they add up to what the answer gained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.fills import Fill, checked_fill, filled
from common.attribution.gradients import asked, input_gradient
from common.attribution.pairs import looks
from common.errors import OutOfTimeError
from common.study.checks import non_negative, one_of, sized

MOST_POINTS = 1 << 14
COMPLETE = 0.01
"""Of what the answer gained from the baseline, how far the map's sum may be off."""
SMALLEST = 1e-4
"""Of a gain: below it a share of it says nothing."""


@dataclass(frozen=True)
class IntegratedGradients:
    """baseline: where the way begins: "zero", "mean" or "black" (the least) of the case's own channel, or "value".
    value: the number of baseline "value". points: of the way, at which gradients are taken. rule: of the integral,
    "gauss" (Gauss and Legendre) or "midpoint". doublings: how often a case whose map misses completeness by more than
    1 % is done again with twice as many points; 0: never.
    """

    source: ClassVar[str] = "Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks (ICML)"
    signed: ClassVar[bool] = True

    baseline: Fill = "zero"
    value: float = 0.0
    points: int = 50
    rule: Literal["gauss", "midpoint"] = "gauss"
    doublings: int = 6

    def __post_init__(self) -> None:
        checked_fill("integrated_gradients", self.baseline, self.value)
        sized("integrated_gradients", MOST_POINTS, points=self.points)
        one_of("integrated_gradients", ("gauss", "midpoint"), rule=self.rule)
        non_negative("integrated_gradients", doublings=self.doublings)

    @property
    def quick(self) -> IntegratedGradients:
        """Without another look at maps that do not add up."""
        return replace(self, doublings=0)

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """Equation 1, by sums, as fine as completeness needs and the seconds allow."""
        given = inputs.detach()
        maps = self._integrated(network, given, aim, 1)
        for doubling in range(1, self.doublings + 1):
            missed = (self.gaps(network, given, aim, maps) > COMPLETE).nonzero()[:, 0]
            if not len(missed) or self.points * 2**doubling > MOST_POINTS:
                break
            try:
                maps[missed] = self._integrated(network, given[missed], aim.take(missed), 2**doubling)
            except OutOfTimeError:
                break
        return maps

    def start(self, inputs: Tensor) -> Tensor:
        """As the inputs are: where the way of each case begins."""
        return filled(inputs.detach(), self.baseline, self.value)

    def gaps(self, network: nn.Module, inputs: Tensor, aim: Aim, maps: Tensor) -> Tensor:
        """(N,) float64 |sum of the map - gain of the answer from the start| / |gain|: 0 is complete (section 3)."""
        with asked(network), torch.no_grad():
            gain = aim.values(network, inputs).double() - aim.values(network, self.start(inputs)).double()
        return (maps.flatten(1).double().sum(1) - gain).abs() / gain.abs().clamp(min=SMALLEST)

    def _integrated(self, network: nn.Module, given: Tensor, aim: Aim, pieces: int) -> Tensor:
        """The rule on each of so many equal pieces of the way."""
        places, weights = (torch.from_numpy(one).to(given) for one in _rule(self.rule, self.points, pieces))
        begin = self.start(given)
        way, sums = given - begin, torch.zeros_like(given)
        for cases, point in looks(given, len(places)):
            on_way = begin[cases] + places[point].reshape(-1, *(1,) * (given.ndim - 1)) * way[cases]
            gradient = input_gradient(network, on_way, aim.take(cases))
            sums.index_add_(0, cases, gradient * weights[point].reshape(-1, *(1,) * (given.ndim - 1)))
        return (sums * way).float()


def _rule(name: str, points: int, pieces: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Places in (0, 1) and weights that sum to 1."""
    if name == "midpoint":
        points, pieces = points * pieces, 1
        return (np.arange(points) + 0.5) / points, np.full(points, 1 / points)
    places, weights = np.polynomial.legendre.leggauss(points)
    each = (np.arange(pieces)[:, None] + (places + 1) / 2) / pieces
    return each.ravel(), np.tile(weights / 2 / pieces, pieces)


attribution: type[Attribution] = IntegratedGradients
