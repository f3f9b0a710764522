"""How far a score, or a difference of two, could be another with other patients: the bootstrap over persons.

Persons are drawn with replacement within their hospital, so that hospitals keep their sizes and all cases of a person
go together. Two models are compared on the same samples: what makes a patient hard for both is not counted as chance
(Efron and Tibshirani 1993, chapters 8 and 13: percentile intervals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.learning.abilities import scored_whole
from experiments.patient_scores import PatientScores, Person

SAMPLES = 2000
SAMPLES_OF_RANKS = 200
"""Of scores that compare persons, which are worked out anew for every sample."""
LEVEL = 0.95
FEWEST_DEFINED = 0.9
"""An interval is told where at least so many of the samples have the score."""


@dataclass(frozen=True)
class Interval:
    """A value and the middle 95 % of what it is in samples."""

    value: float
    low: float
    high: float


def intervals(scores: PatientScores, rng: np.random.Generator) -> dict[str, Interval]:
    """Of every score of one model."""
    samples = scores.resampled(_drawn(scores, rng))
    found = {name: _interval(value, [one.get(name) for one in samples]) for name, value in scores.of_all().items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def differences(first: PatientScores, second: PatientScores, rng: np.random.Generator) -> dict[str, Interval]:
    """Of every score that both models have, second minus first, on the persons that both have."""
    shared = set(first.persons) & set(second.persons)
    one, other = first.restricted(shared), second.restricted(shared)
    times = _drawn(one, rng)
    pairs = list(zip(one.resampled(times), other.resampled(times), strict=True))
    before, after = one.of_all(), other.of_all()
    found = {
        name: _interval(_minus(after[name], before[name]), [_minus(b.get(name), a.get(name)) for a, b in pairs])
        for name in before.keys() & after.keys()
    }
    return {name: interval for name, interval in sorted(found.items()) if interval is not None}


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _drawn(scores: PatientScores, rng: np.random.Generator) -> NDArray[np.int64]:
    """(samples, persons): how often each person is drawn."""
    compared = scored_whole(scores.task)
    samples = SAMPLES_OF_RANKS if compared else SAMPLES
    times = np.zeros((samples, len(scores.persons)), np.int64)
    for places in _by_hospital(scores.persons):
        times[:, places] = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), size=samples)
    return times


def _by_hospital(persons: Sequence[Person]) -> list[list[int]]:
    places: dict[str, list[int]] = {}
    for place, (site, _) in enumerate(persons):
        places.setdefault(site, []).append(place)
    return list(places.values())


def _interval(value: float | None, samples: Sequence[float | None]) -> Interval | None:
    defined = [one for one in samples if one is not None]
    if value is None or len(defined) < FEWEST_DEFINED * len(samples):
        return None
    tail = (1 - LEVEL) / 2
    return Interval(value, *(float(edge) for edge in np.quantile(defined, [tail, 1 - tail])))
