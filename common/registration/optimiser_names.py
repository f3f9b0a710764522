"""Optimisers by name."""

from __future__ import annotations

from common.registration.bayesian import Bayesian
from common.registration.discrete import Discrete
from common.registration.optimisers import (
    Adam,
    DownhillSimplex,
    GradientDescent,
    Lbfgs,
    Optimiser,
    StochasticGradientDescent,
)
from common.spelling import unknown

OPTIMISERS: dict[str, type[Optimiser]] = {
    "gradient_descent": GradientDescent,
    "sgd": StochasticGradientDescent,
    "adam": Adam,
    "lbfgs": Lbfgs,
    "simplex": DownhillSimplex,
    "discrete": Discrete,
    "bayesian": Bayesian,
}


def optimiser_of(given: str | Optimiser) -> Optimiser:
    """An optimiser by name, or the one given. Raises UnknownNameError with the nearest name."""
    if not isinstance(given, str):
        return given
    if given not in OPTIMISERS:
        raise unknown("optimiser", given, OPTIMISERS)
    return OPTIMISERS[given]()
