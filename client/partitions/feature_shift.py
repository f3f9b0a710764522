"""Feature shift: patients at random, but every hospital sees them through a scanner of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from client.partition import Partition
from client.partitions.iid import Iid
from common.cases import Cases
from common.checks import non_negative, positive

IMAGE_DIMENSIONS = 3


@dataclass(frozen=True)
class FeatureShift:
    """strength: 0 changes nothing, 1 shifts visibly.

    Images: contrast (gamma), gain, offset, blur and noise are drawn once a hospital, in units of the image's
    own spread. Tables: a gain and an offset a feature, drawn once a hospital, in units of its spread.
    """

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
        shifted = self._images(cases.inputs, rng) if images else self._features(cases.inputs, rng)
        return replace(cases, inputs=shifted.astype(np.float32))

    def _images(self, inputs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        gamma = np.exp(self.strength * rng.uniform(-0.7, 0.7))
        gain = np.exp(self.strength * rng.uniform(-0.4, 0.4))
        offset, noise = self.strength * rng.uniform(-0.5, 0.5), self.strength * rng.uniform(0.0, 0.3)
        blur_pixels = self.strength * rng.uniform(0.0, 1.0)
        low, high = float(inputs.min()), float(inputs.max())
        width, spread = max(high - low, 1e-12), float(inputs.std())
        curved = low + width * ((inputs.astype(np.float64) - low) / width) ** gamma
        blurred = gaussian_filter(curved, [0, 0] + [blur_pixels] * (inputs.ndim - 2))
        shifted = gain * blurred + spread * (offset + noise * rng.standard_normal(inputs.shape))
        return np.asarray(shifted, dtype=np.float64)

    def _features(self, inputs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        count = inputs.shape[1:]
        gain = np.exp(self.strength * rng.uniform(-0.4, 0.4, count))
        offset = self.strength * rng.uniform(-0.5, 0.5, count)
        return np.asarray(gain * inputs.astype(np.float64) + offset * inputs.std(axis=0), dtype=np.float64)


partition: type[Partition] = FeatureShift
