"""The most that one unit's data add to a sum: a hospital of one patient, made as loud as can be, and no noise.

What a test of noise cannot see where no real gradient is as long as the clip norm: that clipping is to another norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital
from common.data.cases import Cases
from common.data.columns import column_of
from common.errors import WardroundError
from common.privacy.noise_source import NoiseSource
from common.wire.train_requests import Order
from experiments.evidence.planted import Fault
from experiments.evidence.promised_noise import Promise, expected_units
from experiments.evidence.replayed import replayed

TIMES = (10.0, -10.0, 1000.0, -1000.0)
"""Of a patient's inputs: of two signs, for a model that is sure of one is mistaken about the other."""


@dataclass(frozen=True)
class _Silent:
    """No noise at all."""

    def gaussian(self, size: int, standard_deviation: float) -> NDArray[np.float64]:
        """See NoiseSource."""
        return np.zeros(size)

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """See NoiseSource."""
        return np.zeros(size, np.int64)


class _Always(np.random.Generator):
    """Uniform numbers that are below any chance."""

    def random(self, size: int = 1) -> NDArray[np.float64]:  # type: ignore[override]
        """(size,) noughts."""
        return np.zeros(size)


def loudest(hospital: Hospital, order: Order, promise: Promise, fault: Fault) -> float | None:
    """Over what was claimed: 1 at most, as claimed. None where no such data can be worked with."""
    study = fault.study(hospital)
    once = (
        replace(study, training=replace(study.training, steps=1))
        if order.work is not None and order.work.sends == "delta"
        else study
    )
    silent = Fault(
        fault.name,
        noise=lambda make, number: cast(NoiseSource, _Silent()),
        draws=lambda rng: _Always(rng.bit_generator),
        study=lambda _: once,
    )
    claimed = promise.clip_norm + promise.grid * sqrt(order.parameters.size)
    found = [_norm(one, order, promise, silent) for one in _loud(hospital)]
    known = [norm for norm in found if norm is not None]
    return max(known) / claimed if known else None


def _norm(hospital: Hospital, order: Order, promise: Promise, silent: Fault) -> float | None:
    try:
        again = replayed(hospital, order, silent)
    except WardroundError:
        return None
    if not again.steps:
        return float(np.linalg.norm(again.update.vectors[0].astype(np.float64)))
    step = again.steps[0]
    return float(np.linalg.norm(step.gradient.astype(np.float64))) * expected_units(hospital, promise)


def _loud(hospital: Hospital) -> Iterator[Hospital]:
    """With one patient, whose inputs are multiplied; sizes are told as they were, so that rates and noise stay."""
    train = hospital.train
    own = np.flatnonzero(train.patients == np.unique(train.patients)[0])
    told = {part: hospital.sizes(part) for part in hospital.splits}
    for times in TIMES:
        loud = _multiplied(train.take(own), times)
        yield replace(hospital, splits={**hospital.splits, "train": loud}, counted=told)


def _multiplied(cases: Cases, times: float) -> Cases:
    column: Any = cases.columns["inputs"]
    values = column.gather(slice(None))
    louder = [one * np.float32(times) for one in values]
    same = len({one.shape for one in louder}) == 1
    return replace(cases, columns={**cases.columns, "inputs": column_of(np.stack(louder) if same else louder)})
