"""What an encoder makes of a hospital's cases, as columns of its records, beside the part that they are of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_gram import on_grid
from common.asking.records import Records
from common.errors import StudyError

FEATURE, PART, FEATURES = "feature_", "part", "features"
"""Beginning of a feature's name, the column of the part, and the word by which a policy permits all features."""


LEAST = 5
"""Persons of a real hospital who must differ from all others in a feature, for that to be told."""


def feature_name(place: int) -> str:
    """Of the feature at this place."""
    return f"{FEATURE}{place:05d}"


def feature_names(records: Records) -> tuple[str, ...]:
    """In order. Raises StudyError where there are none."""
    found = tuple(sorted(name for name in records.columns if name.startswith(FEATURE)))
    if not found:
        raise StudyError(
            "there are no features to read: the study names no encoder ([start] model = RUN), or the hospital does "
            f"not permit questions of {FEATURES!r}."
        )
    return found


def features_of(records: Records) -> NDArray[np.float64]:
    """(N, D) on a grid of 2**-48; of real persons as `told_of_many` has it."""
    columns = [records.numbers(name) for name in feature_names(records)]
    values = on_grid(np.stack(columns, axis=1))
    return told_of_many(values, records.persons, records.least) if records.least else values


def told_of_many(values: NDArray[np.float64], persons: NDArray[np.str_], least: int) -> NDArray[np.float64]:
    """(N, D), features in which fewer than `least` persons differ from all others held at what these have.

    The products of such a feature with all others are those persons' features: a unit that is silent for all but one
    gives that person away whole, and honest encoders have such units (3 of 128 at 523 cases of PneumoniaMNIST).
    """
    if not len(values):
        return values
    middle = np.sort(values, axis=0)[len(values) // 2]
    differs = values != middle
    few = [
        place for place in np.flatnonzero(differs.any(axis=0)) if len(np.unique(persons[differs[:, place]])) < least
    ]
    told = values.copy()
    told[:, few] = middle[few]
    return told
