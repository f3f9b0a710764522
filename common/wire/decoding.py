"""Payloads from and to updates and statistics. Everything that arrives is hostile until it passed here."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from common.data.names import SiteId
from common.errors import WireError
from common.sums.exchange import Expected, Number, Payload
from common.sums.mean import LARGEST_UNITS, Mean, Statistics
from common.sums.update import Update

LARGEST_NUMBER_OF_STATISTICS = 256
_NAME = re.compile(r"[a-z0-9_]{1,64}")


def statistics_to_numbers(prefix: str, statistics: Statistics) -> dict[str, Number]:
    """Each mean as two whole numbers under `prefix/name`."""
    return {f"{prefix}/{name}": [mean.total_units, mean.weight_units] for name, mean in statistics.items()}


def statistics_from_numbers(prefix: str, numbers: Mapping[str, Number]) -> dict[str, Mean]:
    """The means under `prefix/`. Raises WireError for anything but two whole numbers in range."""
    found = {key.partition("/")[2]: value for key, value in numbers.items() if key.startswith(prefix + "/")}
    if len(found) > LARGEST_NUMBER_OF_STATISTICS:
        raise WireError(f"more than {LARGEST_NUMBER_OF_STATISTICS} statistics came.")
    return {name: _mean(name, value) for name, value in sorted(found.items())}


def _mean(name: str, value: Number) -> Mean:
    if not _NAME.fullmatch(name):
        raise WireError("a statistic's name is not made of a-z, 0-9 and _.")
    if not (isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)):
        raise WireError(f"statistic {name} is not two whole numbers.")
    total, weight = int(value[0]), int(value[1])
    if not (abs(total) <= LARGEST_UNITS and 0 <= weight <= LARGEST_UNITS):
        raise WireError(f"statistic {name} is out of range.")
    return Mean(total, weight)


def update_to_payload(update: Update) -> Payload:
    """All vectors of an update end to end, its weight and its statistics beside them."""
    vectors = [vector.astype(np.float32, copy=False) for vector in update.vectors]
    array = vectors[0] if len(vectors) == 1 else np.concatenate(vectors)
    numbers: dict[str, Number] = {"weight": float(update.weight)}
    return Payload(array, numbers | statistics_to_numbers("training", update.statistics))


def update_from_payload(payload: Payload, site: SiteId, expected: Expected) -> Update:
    """The update a payload holds. Raises WireError that says which check failed: size, finite, weight."""
    wanted = expected.length * expected.vectors
    if payload.array is None:
        raise WireError("the reply holds no array.")
    if payload.array.size != wanted:
        raise WireError(f"the array holds {payload.array.size} numbers; the model needs {wanted}.")
    if not np.isfinite(payload.array).all():
        raise WireError(f"{np.count_nonzero(~np.isfinite(payload.array))} of {wanted} numbers are not finite.")
    weight = _weight(payload.numbers.get("weight"), expected.largest_weight[site])
    vectors = tuple(np.split(payload.array, expected.vectors))
    return Update(vectors, weight, statistics_from_numbers("training", payload.numbers))


def _weight(value: Number | None, largest: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise WireError("the weight is not a number.")
    if not 0 < value <= largest:
        raise WireError(f"the weight is {value:g}; it must be above 0 and at most {largest:g}, the announced cases.")
    return float(value)
