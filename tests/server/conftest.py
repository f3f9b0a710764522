"""Rounds made by hand, for the tests of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import pytest

from common.learning.work import CURVATURE, REACH
from common.sums.mean import Mean
from common.sums.update import Update
from server.strategy import Contributions

BESIDE = {name: Mean.of([1.0]) for name in (REACH, CURVATURE)}
"""What FedNova and q-FedAvg divide by, alike at every hospital."""
Hospital = tuple[float, Sequence[Sequence[float]]]
"""Weight n_k, and the mean vectors that a hospital computed."""


def _round_of(hospitals: Mapping[str, Hospital], population_weight: float | None = None) -> Contributions:
    each = {
        site: Update(tuple((weight * np.asarray(mean)).astype(np.float32) for mean in means), weight, BESIDE)
        for site, (weight, means) in hospitals.items()
    }
    total = reduce(Update.__add__, each.values())
    return Contributions(total, each, total.weight if population_weight is None else population_weight)


@pytest.fixture(scope="session")
def round_of() -> Callable[..., Contributions]:
    """Contributions from {site: (n_k, mean vectors)}; the hospitals send sums, as they really do."""
    return _round_of
