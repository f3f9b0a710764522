"""Bayesian search: a Gaussian process of the cost says where to look next (Jones, Schonlau and Welch 1998)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from torch import Tensor

from common.registration.optimisers import Cost, Found
from common.seeding import generator
from common.study.checks import positive

Points = NDArray[np.float64]
REFIT_EVERY = 5


@dataclass(frozen=True)
class Bayesian:
    """Expected improvement under a Matern 5/2 process, in a box of +-range_mm around the start, drawn closer.

    For few parameters and a costly, noisy or many-peaked cost: no gradient is taken. The box halves after every
    `draw_closer` evaluations, around the best point so far. proposals: random points among which the one of the
    largest expected improvement is taken. seed: of all draws.
    """

    stochastic: ClassVar[bool] = False

    evaluations: int = 150
    range_mm: float = 10.0
    draw_closer: int = 30
    proposals: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        positive("bayesian", evaluations=self.evaluations, range_mm=self.range_mm)
        positive("bayesian", draw_closer=self.draw_closer, proposals=self.proposals)

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The best point met."""
        rng = generator(self.seed, "bayesian search")
        met, costs = [start.numpy().astype(np.float64)], [_value(cost, start)]
        process = _process(len(start))
        while len(costs) < self.evaluations:
            half = self.range_mm * 0.5 ** (len(costs) // self.draw_closer)
            middle = met[int(np.argmin(costs))]
            proposals = self._proposals(middle, half, rng)
            if len(costs) > len(start):
                proposals = proposals[[self._most_promising(process, met, costs, proposals, middle, half)]]
            met.append(proposals[0])
            costs.append(_value(cost, torch.from_numpy(met[-1])))
        return Found(torch.from_numpy(met[int(np.argmin(costs))]), tuple(costs))

    def _proposals(self, middle: Points, half: float, rng: np.random.Generator) -> Points:
        """Half of them all over the box, half near its middle."""
        wide = rng.uniform(-half, half, (self.proposals // 2 + 1, len(middle)))
        near = rng.normal(0, half / 5, (self.proposals // 2, len(middle)))
        return middle + np.vstack([wide, near])

    def _most_promising(
        self,
        process: GaussianProcessRegressor,
        met: list[Points],
        costs: list[float],
        proposals: Points,
        middle: Points,
        half: float,
    ) -> int:
        """The index of the proposal with the largest expected improvement."""
        near = [index for index, point in enumerate(met) if np.abs(point - middle).max() <= 2 * half]
        values = np.array(costs)[near]
        scale = float(values.std()) or 1.0
        process.set_params(optimizer="fmin_l_bfgs_b" if len(costs) % REFIT_EVERY == 0 else None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit((np.array(met)[near] - middle) / half, (values - values.min()) / scale)
            mean, deviation = process.predict((proposals - middle) / half, return_std=True)
        process.kernel = process.kernel_
        return int(np.argmax(expected_improvement(mean, deviation)))


def expected_improvement(mean: Points, deviation: Points) -> Points:
    """E[max(0 - f, 0)] of f normal: the best cost so far is zero (Jones, Schonlau and Welch 1998, equation 15)."""
    deviation = np.maximum(deviation, 1e-12)
    z = -mean / deviation
    improvement: Points = -mean * norm.cdf(z) + deviation * norm.pdf(z)
    return improvement


def _process(dimensions: int) -> GaussianProcessRegressor:
    kernel = ConstantKernel(1.0) * Matern(np.ones(dimensions), (0.05, 20.0), nu=2.5) + WhiteKernel(1e-4, (1e-8, 1e-1))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def _value(cost: Cost, point: Tensor) -> float:
    with torch.no_grad():
        return float(cost(point))
