"""From a patient's tissues to the image of a scanner: partial volume, coil, motion, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.sources._phantom_atlas import WHITE, Labels
from client.sources._phantom_scanners import Scanner
from client.sources._phantom_signal import Tissue, signals

TEXTURE = 0.03
"""Standard deviation of what tissue differs within itself, as a share of its signal."""
TEXTURE_SCALE_MM = 2.0
MOTION_EVENTS = 3
"""How often a restless patient moves during one slice."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scan:
    """One patient in one scanner: what stays the same from slice to slice.

    signals: (tissues,) float32. coil: (5,) coefficients of the logarithm of the coil's sensitivity.
    """

    scanner: Scanner
    signals: Image
    coil: NDArray[np.float64]

    @classmethod
    def begin(cls, scanner: Scanner, tissues: tuple[Tissue, ...], rng: np.random.Generator) -> Scan:
        """Tune the scanner to a patient."""
        times = (scanner.repetition_time_ms, scanner.echo_time_ms, scanner.inversion_time_ms)
        coil = scanner.bias * rng.standard_normal(5)
        return cls(scanner, signals(tissues, scanner.field_t, *times), coil)

    def image(self, tissue: Labels, field_of_view_mm: float, size: int, rng: np.random.Generator) -> Image:
        """(size, size) float32: the slice whose tissues are (depths, fine, fine), as the scanner shows it."""
        ideal = self.signals[tissue].mean(axis=0, dtype=np.float32)
        ideal *= 1 + _texture(ideal.shape, field_of_view_mm, rng)
        acquired = resample(ideal, max(round(field_of_view_mm / self.scanner.pixel_mm), 1))
        acquired *= sensitivity(self.coil, acquired.shape[0])
        pixels_a_mm = acquired.shape[0] / field_of_view_mm
        places = draw_places(acquired.shape[0], self.scanner.motion_mm * pixels_a_mm, rng)
        return resample(rician(moved(acquired, places), self.scanner.noise * float(self.signals[WHITE]), rng), size)


def resample(image: NDArray[np.floating], size: int) -> Image:
    """(size, size) float32: means over the new pixels' areas, true partial volume, of a square image."""
    return np.asarray(_area_means(_area_means(image.astype(np.float64), size).T, size).T, np.float32)


def _area_means(image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Means over `size` equal parts of the first axis: differences of the integral, which is linear in between."""
    length = image.shape[0]
    if length == size:
        return image
    integral = np.concatenate([np.zeros((1, image.shape[1])), np.cumsum(image, axis=0)])
    edges = np.arange(size + 1) * (length / size)
    below = np.minimum(edges.astype(np.intp), length - 1)
    share = (edges - below)[:, None]
    at_edges = integral[below] * (1 - share) + integral[below + 1] * share
    return np.asarray(np.diff(at_edges, axis=0) * (size / length))


def sensitivity(coil: NDArray[np.float64], size: int) -> Image:
    """(size, size) float32: exp of a polynomial of second order over the square [-1, 1]^2."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    terms = (x, y, x * y, x**2 - 1 / 3, y**2 - 1 / 3)
    logarithm = np.tensordot(coil, np.stack(terms), axes=1)
    return np.asarray(np.exp(logarithm), np.float32)


def draw_places(lines: int, distance: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(lines, 2): where the head was, pixels down and right, when each line of k-space was read, lowest first.

    It starts at rest and moves at MOTION_EVENTS random lines, `distance` pixels in standard deviation each time.
    """
    events = np.sort(rng.integers(0, lines, MOTION_EVENTS))
    places = np.concatenate([np.zeros((1, 2)), rng.normal(0, distance, (MOTION_EVENTS, 2))])
    return np.asarray(places[np.searchsorted(events, np.arange(lines), side="right")])


def moved(image: Image, places: NDArray[np.float64]) -> NDArray[np.complex64]:
    """The complex image when the head was at `places`, see `draw_places`, while k-space was read line by line.

    A shift multiplies k-space by a phase ramp; each line carries the ramp of its own moment.
    """
    lines, columns = image.shape
    down, right = np.fft.ifftshift(places, axes=0).T[:, :, None]
    cycles = down * np.fft.fftfreq(lines)[:, None] + right * np.fft.fftfreq(columns)
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * cycles)).astype(np.complex64)


def rician(image: NDArray[np.inexact], sigma: float, rng: np.random.Generator) -> Image:
    """The magnitude of `image` plus Gaussian noise of standard deviation `sigma` in each of two channels."""
    noise = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(sigma)
    return np.asarray(np.hypot(image.real + noise[0], image.imag + noise[1]), np.float32)


def _texture(shape: tuple[int, ...], field_of_view_mm: float, rng: np.random.Generator) -> Image:
    width = TEXTURE_SCALE_MM * shape[0] / field_of_view_mm
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), width, truncate=2, mode="wrap")
    return np.asarray(smooth * np.float32(TEXTURE * 2 * np.sqrt(np.pi) * width))
