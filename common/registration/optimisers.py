"""Optimisers of a cost over one vector of parameters in mm, all with the same face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from common.learning.uncompiled import uncompiled

SHORTEST_STEP_MM = 1e-3
MOST_STEPS_AWAY = 1e4
"""First steps that a parameter may go from where it began."""
Cost = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Found:
    """parameters: (P,) float64, the best that were met. costs: one an evaluation."""

    parameters: Tensor
    costs: tuple[float, ...]


class Optimiser(Protocol):
    """stochastic: whether the cost should be of fresh random points at each evaluation."""

    stochastic: ClassVar[bool]

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """Search from `start` (P,)."""
        ...


@dataclass(frozen=True)
class GradientDescent:
    """Steps along the gradient with Armijo's rule: halved until the cost falls enough, doubled afterwards.

    step_mm: length of the first step.
    """

    stochastic: ClassVar[bool] = False

    iterations: int = 60
    step_mm: float = 2.0
    smallest_step_mm: float = 1e-3

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The last point, which is the best."""
        here, costs = start, []
        value, gradient = _gradient(cost, here)
        rate = self.step_mm / float(gradient.norm().clamp(min=1e-12))
        for _ in range(self.iterations):
            costs.append(value)
            step = rate * gradient
            if float(step.norm()) < self.smallest_step_mm:
                break
            with torch.no_grad():
                fallen = value - float(cost(here - step))
            if fallen > 1e-4 * rate * float(gradient.square().sum()):
                here, rate = here - step, 2 * rate
                value, gradient = _gradient(cost, here)
            else:
                rate /= 2
        return Found(here, tuple(costs))


@dataclass(frozen=True)
class StochasticGradientDescent:
    """Steps of a falling length along gradients from random points: a_k = a / (A + k)^0.6 (Klein et al. 2007).

    The step is a share of the gradient's running size, so that `step_mm` is a length whatever the similarity.
    """

    stochastic: ClassVar[bool] = True

    iterations: int = 250
    step_mm: float = 1.0
    settling: float = 20.0

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The mean of the last tenth of the path (Polyak and Juditsky 1992)."""
        here, costs, size, path = start, [], 0.0, []
        for step in range(self.iterations):
            value, gradient = _gradient(cost, here)
            costs.append(value)
            size = max(0.95 * size, float(gradient.norm()), 1e-12)
            here = here - self.step_mm * (1 + step / self.settling) ** -0.6 * gradient / size
            path.append(here)
        return Found(torch.stack(path[-max(1, self.iterations // 10) :]).mean(0), tuple(costs))


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba 2015, with a rate that falls to a tenth; learning_rate_mm: the first step of each parameter."""

    stochastic: ClassVar[bool] = False

    iterations: int = 100
    learning_rate_mm: float = 0.5

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The best point met."""
        here = start.clone().requires_grad_()
        stepper = uncompiled(torch.optim.Adam)([here], lr=self.learning_rate_mm)
        schedule = torch.optim.lr_scheduler.ExponentialLR(stepper, 0.1 ** (1 / max(1, self.iterations)))
        record = _Best(start)
        for _ in range(self.iterations):
            stepper.zero_grad()
            value = cost(here)
            value.backward()  # type: ignore[no-untyped-call]
            record.note(here, float(value.detach()))
            stepper.step()
            schedule.step()
        return record.found()


@dataclass(frozen=True)
class Lbfgs:
    """Quasi-Newton with a limited memory and strong Wolfe line search (Liu and Nocedal 1989).

    It stops where a step is below a thousandth of a mm or changes the cost by less than `relative_change`.
    """

    stochastic: ClassVar[bool] = False

    iterations: int = 30
    first_step_mm: float = 1.0
    relative_change: float = 1e-6

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The best point met. The cost is scaled so that the first step is `first_step_mm`."""
        record = _Best(start)
        value, gradient = _gradient(cost, start)
        record.note(start, value)
        scale = self.first_step_mm / max(float(gradient.norm()), 1e-12)

        here = start.clone().requires_grad_()
        enough = min(SHORTEST_STEP_MM, self.relative_change * scale * abs(value))
        stepper = uncompiled(torch.optim.LBFGS)(
            [here],
            max_iter=self.iterations,
            tolerance_grad=0.0,
            tolerance_change=enough,
            line_search_fn="strong_wolfe",
        )

        def scaled() -> float:
            away = here.detach() - start
            if (mm := float(away.abs().max())) > MOST_STEPS_AWAY * self.first_step_mm:
                # Where a cost is flat but for rounding, the line search leaps to where no transform is a number.
                here.grad = torch.where(away.abs() == mm, away.sign(), 0.0)
                return scale * abs(value) + mm
            now, gradient = _gradient(cost, here)
            record.note(here, now)
            here.grad = scale * gradient
            return scale * now

        stepper.step(scaled)  # type: ignore[no-untyped-call]
        return record.found()


@dataclass(frozen=True)
class DownhillSimplex:
    """Nelder and Mead 1965: no gradient, so for few parameters. step_mm: edge of the first simplex."""

    stochastic: ClassVar[bool] = False

    iterations: int = 400
    step_mm: float = 4.0
    tolerance_mm: float = 1e-2

    def minimise(self, cost: Cost, start: Tensor) -> Found:
        """The best corner."""
        record = _Best(start)
        origin = start.numpy()
        simplex = np.vstack([origin, origin + self.step_mm * np.eye(len(origin))])

        def plain(flat: NDArray[np.float64]) -> float:
            point = torch.from_numpy(flat.copy())
            with torch.no_grad():
                value = float(cost(point))
            record.note(point, value)
            return value

        minimize(plain, origin, method="Nelder-Mead",
                 options={"maxiter": self.iterations, "initial_simplex": simplex, "adaptive": True,
                          "xatol": self.tolerance_mm, "fatol": 1e-7})  # fmt: skip
        return record.found()


class _Best:
    """The best point so far, and all costs."""

    def __init__(self, start: Tensor) -> None:
        self._point, self._value, self._costs = start, float("inf"), list[float]()

    def note(self, point: Tensor, value: float) -> None:
        self._costs.append(value)
        if value < self._value:
            self._point, self._value = point.detach().clone(), value

    def found(self) -> Found:
        return Found(self._point, tuple(self._costs))


def _gradient(cost: Cost, point: Tensor) -> tuple[float, Tensor]:
    here = point.detach().clone().requires_grad_()
    value = cost(here)
    (gradient,) = torch.autograd.grad(value, here)
    return float(value.detach()), gradient
