"""Faults of privacy code, each as a value: the same code of a hospital or the server runs, with one thing wrong.

A fault changes where noise or samples come from, or what the code is asked to do, and never the code itself: what is
planted comes in by the places that a hospital's secret draws and its settings come in by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital
from common.learning.parameters import Layout
from common.privacy.noise_source import NoiseSource
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.evidence.promised_noise import clipping_at_twice, promise_of

Floats = NDArray[np.float64]
Make = Callable[[int], NoiseSource]
"""The honest source of noise of a round."""


def _as_it_is(make: Make, number: int) -> NoiseSource:
    return make(number)


@dataclass(frozen=True)
class Fault:
    """name: in words. noise: of a round, from the honest sources. draws: of samples, from the honest generator.
    study, order: what the hospital's code is asked to do.
    """

    name: str
    noise: Callable[[Make, int], NoiseSource] = _as_it_is
    draws: Callable[[np.random.Generator], np.random.Generator] = lambda rng: rng
    study: Callable[[Hospital], Study] = lambda hospital: hospital.study
    order: Callable[[Order], Order] = lambda order: order


@dataclass(frozen=True)
class Scaled:
    """An honest source, whose noise is made smaller afterwards."""

    source: NoiseSource
    factor: float

    def gaussian(self, size: int, standard_deviation: float) -> Floats:
        """See NoiseSource."""
        return self.source.gaussian(size, standard_deviation) * self.factor

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """See NoiseSource."""
        noise = self.source.discrete_gaussian(size, sigma).astype(np.float64)
        return np.rint(noise * self.factor).astype(np.int64)


@dataclass
class Twice:
    """An honest source, each draw of which is given out twice."""

    source: NoiseSource
    last: list[NDArray[np.int64]] = field(default_factory=list)

    def gaussian(self, size: int, standard_deviation: float) -> Floats:
        """See NoiseSource."""
        return self.source.gaussian(size, standard_deviation)

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """See NoiseSource."""
        if self.last and self.last[-1].size == size:
            return self.last.pop()
        self.last = [self.source.discrete_gaussian(size, sigma)]
        return self.last[-1].copy()


@dataclass(frozen=True)
class Constant:
    """NumPy's generator, seeded anew for every draw with the same number."""

    seed: int = 0

    def gaussian(self, size: int, standard_deviation: float) -> Floats:
        """See NoiseSource."""
        return np.random.default_rng(self.seed).normal(0, standard_deviation, size)

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """See NoiseSource."""
        return np.rint(self.gaussian(size, sigma)).astype(np.int64)


@dataclass(frozen=True)
class LeftOut:
    """An honest source, without noise in the last half of the coordinates, as if a layer were forgotten."""

    source: NoiseSource

    def gaussian(self, size: int, standard_deviation: float) -> Floats:
        """See NoiseSource."""
        return self.source.gaussian(size, standard_deviation)

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """See NoiseSource."""
        noise = self.source.discrete_gaussian(size, sigma)
        noise[size - size // 2 :] = 0
        return noise


class FixedSize(np.random.Generator):
    """Uniform numbers spread evenly, so that as good as the same number of units is below any rate every time.

    A batch of a fixed size, drawn without replacement, in place of a Poisson sample: what samplers of ordinary
    training do.
    """

    def random(self, size: int = 1) -> Floats:  # type: ignore[override]
        """(size,) one number in every one of as many equal parts of [0, 1), in any order."""
        return np.asarray((self.permutation(size) + 0.5) / size)


def _scaled(factor: float) -> Callable[[Make, int], NoiseSource]:
    return lambda make, number: Scaled(make(number), factor)


def _twice(make: Make, number: int) -> NoiseSource:
    """Twice within a round of several steps; where a round is one, in two rounds."""
    return Twice(make((number + 1) // 2))


def _one_more(hospital: Hospital) -> Study:
    """One step more than was asked for."""
    promise = promise_of(hospital, 1)
    steps = 1 if promise is None else promise.steps
    return replace(hospital.study, training=replace(hospital.study.training, steps=steps + 1))


def _clipped_to_twice(hospital: Hospital) -> Study:
    return clipping_at_twice(hospital.study, hospital)


NO_NOISE = Fault("no noise", _scaled(0.0))
HALF_NOISE = Fault("half the noise", _scaled(0.5))
TENTH_LESS = Fault("noise a tenth too small", _scaled(0.9))
DOUBLE_CLIP = Fault(
    "clipped to twice the norm",
    study=_clipped_to_twice,
    order=lambda order: replace(order, clip_norm=2 * order.clip_norm),
)
SAME_TWICE = Fault("the same noise twice", _twice)
CONSTANT = Fault("constant noise from a seeded NumPy", lambda make, number: Constant())
LAYER_LEFT_OUT = Fault("half the layers without noise", lambda make, number: LeftOut(make(number)))
NO_POISSON = Fault("batches of a fixed size, no Poisson sample", draws=lambda rng: FixedSize(rng.bit_generator))
ONE_STEP_MORE = Fault("one step too many", study=_one_more)
OF_NOISE = (NO_NOISE, HALF_NOISE, TENTH_LESS, SAME_TWICE, CONSTANT, LAYER_LEFT_OUT)


def wrong_scale(hospitals: int) -> Fault:
    """Each hospital's noise divided by the number of hospitals, as if all others added as much."""
    return Fault("noise on the scale of the mean in place of the sum", _scaled(1 / max(hospitals, 2)))


def faults_of(hospital: Hospital) -> tuple[Fault, ...]:
    """Those that the code of a study with this hospital can have."""
    study, promise = hospital.study, promise_of(hospital, Layout.of(hospital.network).length)
    if study.privacy is None:
        return ()
    if promise is None:
        return (*OF_NOISE, DOUBLE_CLIP)
    found = [*OF_NOISE, DOUBLE_CLIP]
    if AGGREGATIONS.load(study.aggregation.name).reveals == "sum":
        found.append(wrong_scale(len(hospital.roster)))
    if promise.sampling_rate < 1:
        found.append(NO_POISSON)
    if STRATEGIES.load(study.strategy.name).sends == "delta":
        found.append(ONE_STEP_MORE)
    return tuple(found)
