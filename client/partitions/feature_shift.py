"""Feature shift: patients at random, but every hospital sees them through a scanner of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from client.partition import Partition
from client.partitions.iid import Iid
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.seeding import generator
from common.study.checks import non_negative, positive

IMAGE_DIMENSIONS = 3


@dataclass(frozen=True)
class FeatureShift:
    """strength: 0 changes nothing, 1 shifts visibly.

    Images: contrast (gamma), gain, offset, blur and strength of noise are drawn once a hospital, in units of each
    image's own range and spread. Tables: a gain and an offset a feature, drawn once a hospital; the offset is of
    order 1, so features should be scaled beforehand.

    hospitals: how many.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        positive("partition 'feature_shift'", hospitals=self.hospitals)
        non_negative("partition 'feature_shift'", strength=self.strength)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,): as `iid`."""
        return Iid(self.hospitals).assign(cases, rng)

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases as the hospital's scanner shows them; the same `rng` gives the same scanner."""
        if self.strength == 0 or len(cases) == 0:
            return cases
        images = cases.inputs.ndim > IMAGE_DIMENSIONS
        shifted = self._images(cases, rng) if images else self._features(cases.inputs, rng)
        return cases.with_columns(inputs=shifted.astype(np.float32))

    def _images(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.float64]:
        gamma = np.exp(self.strength * rng.uniform(-0.7, 0.7))
        gain = np.exp(self.strength * rng.uniform(-0.4, 0.4))
        offset, noise = self.strength * rng.uniform(-0.5, 0.5), self.strength * rng.uniform(0.0, 0.3)
        blur_pixels = self.strength * rng.uniform(0.0, 1.0)
        inputs = cases.inputs.astype(np.float64)
        axes = tuple(range(1, inputs.ndim))
        low, high = inputs.min(axes, keepdims=True), inputs.max(axes, keepdims=True)
        width, spread = np.maximum(high - low, 1e-12), inputs.std(axes, keepdims=True)
        curved = low + width * ((inputs - low) / width) ** gamma
        blurred = gaussian_filter(curved, [0, 0] + [blur_pixels] * (inputs.ndim - 2))
        shifted = gain * blurred + spread * (offset + noise * _noise(cases, int(rng.integers(2**63))))
        return np.asarray(shifted, dtype=np.float64)

    def _features(self, inputs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        count = inputs.shape[1:]
        gain = np.exp(self.strength * rng.uniform(-0.4, 0.4, count))
        return np.asarray(gain * inputs.astype(np.float64) + self.strength * rng.uniform(-0.5, 0.5, count))


def _noise(cases: Cases, scanner: int) -> NDArray[np.float64]:
    """Of every patient from a generator of its own: whoever else is there changes nothing in it."""
    drawn = np.empty(cases.inputs.shape)
    order = np.argsort(cases.patients, kind="stable")
    names, starts = np.unique(cases.patients[order], return_index=True)
    for name, own in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
        drawn[own] = generator(scanner, "noise", name).standard_normal(drawn[own].shape)
    return drawn


partition: type[Partition] = FeatureShift
