"""Similarities by name."""

from __future__ import annotations

from common.registration.information import CorrelationRatio, MutualInformation, NormalisedMutualInformation
from common.registration.local_correlation import LocalCorrelation
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
}


def similarity_of(given: str | Similarity) -> Similarity:
    """A similarity by name, or the one given. Raises UnknownNameError with the nearest name."""
    if not isinstance(given, str):
        return given
    if given not in SIMILARITIES:
        raise unknown("similarity", given, SIMILARITIES)
    return SIMILARITIES[given]()
