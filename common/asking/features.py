"""What an encoder makes of a hospital's cases, as columns of its records, beside the part that they are of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_gram import on_grid
from common.asking.records import Records
from common.errors import StudyError

FEATURE, PART, FEATURES = "feature_", "part", "features"
"""Beginning of a feature's name, the column of the part, and the word by which a policy permits all features."""


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
    """(N, D) on a grid of 2**-48."""
    columns = [records.numbers(name) for name in feature_names(records)]
    return on_grid(np.stack(columns, axis=1))
