"""How far a score, or a difference of two, could be another with other patients: the bootstrap over persons.

Persons are drawn with replacement within their hospital, so that hospitals keep their sizes and all cases of a person
go together; hospitals of few are drawn from as one, since a person who is alone in a hospital is in every sample. Two
models are compared on the same samples: what makes a patient hard for both is not counted as chance.

Percentile intervals of few persons are too short. Tails are therefore those of Student's t, and wider by the root of
n / (n - strata), by which samples vary too little: Hesterberg 2015, "What teachers should know about the bootstrap",
section 4.3, the expanded percentile interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from common.learning.abilities import compares_patients
from experiments.running.patient_scores import PatientScores, Person

SAMPLES = 2000
SAMPLES_OF_RANKS = 200
"""Of scores that compare persons, which are worked out anew for every sample."""
LEVEL = 0.95
FEWEST_PERSONS = 5
"""Of fewer no interval is told."""
FEWEST_IN_STRATUM = 10
FEWEST_DEFINED = 0.9
"""An interval is told where at least so many of the samples have the score."""


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def intervals(scores: PatientScores, rng: np.random.Generator) -> dict[str, Interval]:
    """Of every score of one model."""
    if len(scores.persons) < FEWEST_PERSONS:
        return {}
    samples, tail = scores.resampled(_drawn(scores, rng)), _tail(scores.persons)
    found = {
        name: _interval(value, [one.get(name) for one in samples], tail) for name, value in scores.of_all().items()
    }
    return {name: interval for name, interval in found.items() if interval is not None}


def differences(first: PatientScores, second: PatientScores, rng: np.random.Generator) -> dict[str, Interval]:
    """Of every score that both models have, second minus first, on the persons that both have."""
    shared = set(first.persons) & set(second.persons)
    if len(shared) < FEWEST_PERSONS:
        return {}
    one, other = first.restricted(shared), second.restricted(shared)
    times = _drawn(one, rng)
    pairs = list(zip(one.resampled(times), other.resampled(times), strict=True))
    before, after, tail = one.of_all(), other.of_all(), _tail(one.persons)
    found = {
        name: _interval(_minus(after[name], before[name]), [_minus(b.get(name), a.get(name)) for a, b in pairs], tail)
        for name in before.keys() & after.keys()
    }
    return {name: interval for name, interval in sorted(found.items()) if interval is not None}


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _drawn(scores: PatientScores, rng: np.random.Generator) -> NDArray[np.int64]:
    """(samples, persons): how often each person is drawn."""
    compared = compares_patients(scores.task)
    samples = SAMPLES_OF_RANKS if compared else SAMPLES
    times = np.zeros((samples, len(scores.persons)), np.int64)
    for places in _strata(scores.persons):
        times[:, places] = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), size=samples)
    return times


def _strata(persons: Sequence[Person]) -> list[list[int]]:
    """Places of the persons of each hospital, and of all hospitals of few together."""
    places: dict[str, list[int]] = {}
    for place, (site, _) in enumerate(persons):
        places.setdefault(site, []).append(place)
    small = [one for one in places.values() if len(one) < FEWEST_IN_STRATUM]
    large = [one for one in places.values() if len(one) >= FEWEST_IN_STRATUM]
    return [*large, *([sorted(place for one in small for place in one)] if small else [])]


def _tail(persons: Sequence[Person]) -> float:
    """The share of samples beyond either end."""
    from scipy.stats import norm, t

    strata, count = len(_strata(persons)), len(persons)
    free = max(count - strata, 1)
    return float(norm.cdf(t.ppf((1 - LEVEL) / 2, free) * sqrt(count / free)))


def _interval(value: float | None, samples: Sequence[float | None], tail: float) -> Interval | None:
    """None where it is not defined often enough, or no sample differs: of what never varied nothing is known."""
    defined = [one for one in samples if one is not None]
    if value is None or len(defined) < FEWEST_DEFINED * len(samples) or min(defined) == max(defined):
        return None
    return Interval(value, *(float(edge) for edge in np.quantile(defined, [tail, 1 - tail])))
