"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable

from common.extras import needed_by
from common.registration.discrete import Discrete
from common.registration.optimisers import (
    Adam,
    DownhillSimplex,
    GradientDescent,
    Lbfgs,
    Optimiser,
    StochasticGradientDescent,
)
from common.study.spelling import unknown


def _bayesian() -> Optimiser:
    with needed_by("optimiser 'bayesian'"):
        from common.registration.bayesian import Bayesian

    return Bayesian()


OPTIMISERS: dict[str, Callable[[], Optimiser]] = {
    "gradient_descent": GradientDescent,
    "sgd": StochasticGradientDescent,
    "adam": Adam,
    "lbfgs": Lbfgs,
    "simplex": DownhillSimplex,
    "discrete": Discrete,
    "bayesian": _bayesian,
}


def optimiser_of(given: str | Optimiser) -> Optimiser:
    """An optimiser by name, or the one given. Raises UnknownNameError with the nearest name."""
    if not isinstance(given, str):
        return given
    if given not in OPTIMISERS:
        raise unknown("optimiser", given, OPTIMISERS)
    return OPTIMISERS[given]()
