"""Noise from the operating system, noise from a seed, and how either is added so that no float tells the value.

Mironov 2012 (On Significance of the Least Significant Bits for Differential Privacy): a normal draw in floating
point cannot take every value, and which sums v + noise are possible depends on v, so that their last bits can name v.
Here value and noise are whole multiples of one power of two, the step, chosen by the standard deviation alone; their
sum is exact, and every multiple of the step can come from every value.

Rounding the values. Two neighbours' d values each move by at most half a step, so that their distance S becomes at
most S + step sqrt(d). With step <= 2^-32 standard deviations, the noise is raised by the factor
1 + 2^-22 (sqrt(d) + 1), which pays for that wherever S is at least 1 / 1024 of the standard deviation (a noise
multiplier of at most 1024): 0.03 % for a million values.

Discrete in place of continuous. On the step's grid, normal noise of standard deviation t, followed by a random
rounding to the grid that looks at nothing but its argument, is discrete Gaussian noise of sigma = sqrt(t^2 + (3
steps)^2) to within 2^-250 a value (Peikert 2010, An Efficient and Parallel Gaussian Sampler for Lattices, theorem
3.1). So what any accountant says of the normal distribution holds of this noise, for t = sigma (1 - 2^-61), and the
raise pays for that too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import frexp, ldexp, sqrt

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from common.errors import HospitalError
from common.privacy.discrete_gaussian import discrete_gaussian
from common.privacy.lazy_chances import RandomBytes
from common.privacy.noise_source import NoiseSource
from common.privacy.polya import polya_differences
from common.study.checks import between, positive

LARGEST_VALUE = 2.0**19
"""In standard deviations: up to here a value, its noise and their sum are exact in float64."""

_STEPS_BITS = 32
_IN_CACHE = 1 << 14
_CIPHER_BLOCK_BYTES = 16
_NOUGHTS = memoryview(bytes(1 << 18))
_RAISE = 2.0**-22
_SMALLEST, _LARGEST = 2.0**-900, 2.0**900


@dataclass(frozen=True)
class SystemNoise:
    """Noise that protects: AES-256 in counter mode, each call under a new key from the operating system."""

    def gaussian(self, size: int, standard_deviation: float) -> NDArray[np.float64]:
        """Normal noise alone. To protect values use `add_gaussian`.

        Args:
            size: how many.
            standard_deviation: above 0.

        Returns:
            (size,) float64, whole multiples of `step(standard_deviation)`.

        Raises:
            StudyError: for a standard deviation that is not above 0.
        """
        return _gaussian(size, standard_deviation, _system_bytes())

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """(size,) int64, to within 2^-116 of the exact distribution. Raises StudyError unless 0 < sigma <= 2^55."""
        return discrete_gaussian(size, sigma, _system_bytes())

    def geometric_share(self, size: int, decay: Fraction, shares: int) -> NDArray[np.int64]:
        """(size,) int64: one of so many hospitals' shares of two-sided geometric noise."""
        return polya_differences(size, decay, shares, _system_bytes())


@dataclass(frozen=True)
class SeededNoise:
    """The same noise from a generator anyone with the seed can repeat: for simulation; it protects nobody."""

    generator: np.random.Generator

    def gaussian(self, size: int, standard_deviation: float) -> NDArray[np.float64]:
        """(size,) float64, as by SystemNoise."""
        return _gaussian(size, standard_deviation, self.generator.bytes)

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """(size,) int64, as by SystemNoise."""
        return discrete_gaussian(size, sigma, self.generator.bytes)

    def geometric_share(self, size: int, decay: Fraction, shares: int) -> NDArray[np.int64]:
        """(size,) int64, as by SystemNoise."""
        return polya_differences(size, decay, shares, self.generator.bytes)


def add_gaussian(
    values: NDArray[np.float32] | NDArray[np.float64], standard_deviation: float, source: NoiseSource
) -> NDArray[np.float64]:
    """The values with normal noise of their own each, safe to let out.

    The promise is that of exact normal noise of this standard deviation on the values as given, for neighbours that
    lie at least standard_deviation / 1024 apart in L2; the module says how. Rounding to float32 afterwards is safe.

    Args:
        values: float32 or float64 of any shape, clipped before.
        standard_deviation: above 0.
        source: of the secret draws.

    Returns:
        float64 of their shape, multiples of the step.

    Raises:
        StudyError: for a standard deviation that is not above 0.
        HospitalError: for values that are not finite or beyond LARGEST_VALUE standard deviations: clip first.
    """
    one = step(standard_deviation)
    most = LARGEST_VALUE * standard_deviation
    if values.size and not (-most <= float(values.min()) and float(values.max()) <= most):
        raise HospitalError("values to be noised must be finite and within 2**19 standard deviations of the noise.")
    raised = standard_deviation * (1 + _RAISE * (sqrt(values.size) + 1))
    noise, exact = source.discrete_gaussian(values.size, raised / one), values.reshape(-1)
    noised = noise.view(np.float64)  # the pages of new memory cost more than the sums
    place, beside = np.empty(_IN_CACHE), np.empty(_IN_CACHE)
    for start in range(0, values.size, _IN_CACHE):
        some = slice(start, start + _IN_CACHE)
        steps, drawn = place[: values.size - start], beside[: values.size - start]
        np.copyto(steps, exact[some])
        np.multiply(steps, 1 / one, out=steps)
        np.rint(steps, out=steps)
        np.copyto(drawn, noise[some])
        np.add(steps, drawn, out=steps)
        np.multiply(steps, one, out=noised[some])
    return noised.reshape(values.shape)


def gaussian(standard_deviation: float, source: NoiseSource) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What `add_gaussian` makes of (P,) float32 values, as float32."""
    return lambda values: add_gaussian(values, standard_deviation, source).astype(np.float32)


def step(standard_deviation: float) -> float:
    """The grid's step, in the values' unit: 2^-32 of the largest power of two within the standard deviation."""
    positive("noise", standard_deviation=standard_deviation)
    between("noise", _SMALLEST, _LARGEST, standard_deviation=standard_deviation)
    return ldexp(1.0, frexp(standard_deviation)[1] - 1 - _STEPS_BITS)


def _gaussian(size: int, standard_deviation: float, random_bytes: RandomBytes) -> NDArray[np.float64]:
    one = step(standard_deviation)
    return np.multiply(discrete_gaussian(size, standard_deviation / one, random_bytes), one, dtype=np.float64)


def _system_bytes() -> RandomBytes:
    """What AES-GCM adds to noughts: counter mode, sooner than by itself, as for masks; nobody asks for the tag."""
    stream = Cipher(algorithms.AES256(os.urandom(32)), modes.GCM(bytes(12))).encryptor()

    def draw(count: int) -> memoryview:
        place = np.empty(count + _CIPHER_BLOCK_BYTES, np.uint8).data
        stream.update_into(_NOUGHTS[:count] if count <= len(_NOUGHTS) else bytes(count), place)
        return place[:count]

    return draw
