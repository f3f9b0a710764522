"""What hospitals send beside their vectors, for strategies that divide by it."""

from __future__ import annotations

from common.errors import RoundError
from common.sums.mean import Mean
from server.strategy import Contributions


def mean_beside(contributions: Contributions, name: str) -> float:
    """The mean, weighed by cases. Raises RoundError where no usable one came."""
    mean = contributions.total.statistics.get(name, Mean())
    if not mean.weight_units or not mean.value > 0:
        raise RoundError(f"the hospitals' {name} is missing or not above zero; the round cannot be used.")
    return mean.value
