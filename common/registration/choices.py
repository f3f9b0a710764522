"""Similarities and optimisers by name, as `register` takes them."""

from __future__ import annotations

from collections.abc import Callable

from common.extras import needed_by
from common.registration.discrete import Discrete
from common.registration.information import CorrelationRatio, MutualInformation, NormalisedMutualInformation
from common.registration.local_correlation import LocalCorrelation
from common.registration.optimisers import (
    Adam,
    DownhillSimplex,
    GradientDescent,
    Lbfgs,
    Optimiser,
    StochasticGradientDescent,
)
from common.registration.self_similarity import SelfSimilarity
from common.registration.similarity import (
    CorrelationCoefficient,
    Similarity,
    SumOfAbsoluteDifferences,
    SumOfSquaredDifferences,
)
from common.study.spelling import unknown

SIMILARITIES: dict[str, type[Similarity]] = {
    "ssd": SumOfSquaredDifferences,
    "sad": SumOfAbsoluteDifferences,
    "cc": CorrelationCoefficient,
    "local_cc": LocalCorrelation,
    "mi": MutualInformation,
    "nmi": NormalisedMutualInformation,
    "cr": CorrelationRatio,
    "mind": SelfSimilarity,
}


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


def similarity_of(given: str | Similarity) -> Similarity:
    """A similarity by name, or the one given. Raises UnknownNameError with the nearest name."""
    if not isinstance(given, str):
        return given
    if given not in SIMILARITIES:
        raise unknown("similarity", given, SIMILARITIES)
    return SIMILARITIES[given]()


def similarity_name(similarity: Similarity) -> str:
    """As `similarity_of` takes it, or its class's for one of somebody else."""
    names = {kind: name for name, kind in SIMILARITIES.items()}
    return names.get(type(similarity), type(similarity).__name__)


def optimiser_of(given: str | Optimiser) -> Optimiser:
    """An optimiser by name, or the one given. Raises UnknownNameError with the nearest name."""
    if not isinstance(given, str):
        return given
    if given not in OPTIMISERS:
        raise unknown("optimiser", given, OPTIMISERS)
    return OPTIMISERS[given]()
