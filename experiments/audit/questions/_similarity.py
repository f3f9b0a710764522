"""How alike two images are: PSNR, PSNR after an affine fit of each channel, SSIM and correlation.

Shapes: a case is (channels, [D,] H, W), or (features,) of a table, which counts as one channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Case = NDArray[np.floating]

WINDOW_DEVIATION, WINDOW_RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03
LEAST_SQUARE = 1e-12
"""Mean squared error, as a share of the squared range, below which PSNR says 120 dB."""


def psnr_db(truth: Case, guess: Case, span: float) -> float:
    """10 log10(span^2 / mean squared error), at most 120 dB. span: difference of the largest and smallest value.

    NaN where the guess has a value that is not finite.
    """
    error = float(np.mean((np.asarray(truth, np.float64) - guess) ** 2)) / span**2
    return float(-10 * np.log10(max(error, LEAST_SQUARE)))


def fitted(truth: Case, guess: Case) -> Case:
    """The guess, each channel scaled and shifted to fit the truth best in the sense of least squares.

    A network with group normalisation hides brightness and contrast; whoever looks at the picture restores both.
    """
    channels, guesses = _channels(truth), _channels(guess)
    centred = guesses - guesses.mean(1, keepdims=True)
    power = (centred**2).sum(1, keepdims=True)
    covariance = (centred * (channels - channels.mean(1, keepdims=True))).sum(1, keepdims=True)
    scale = np.divide(covariance, power, out=np.zeros_like(covariance), where=power > 0)
    return np.asarray((centred * scale + channels.mean(1, keepdims=True)).reshape(np.shape(truth)))


def ssim(truth: Case, guess: Case, span: float) -> float:
    """Structural similarity, mean over channels and all whole windows (Wang et al. 2004, equation 13): at most 1.

    Gaussian windows of deviation 1.5, 11 pixels wide, or as wide as the image allows. NaN for tables.
    """
    if np.ndim(truth) < 3:
        return float("nan")
    return float(np.mean([_ssim(a, b, span) for a, b in zip(truth, guess, strict=True)]))


def _ssim(truth: Case, guess: Case, span: float) -> float:
    radius = min(WINDOW_RADIUS, (min(truth.shape) - 1) // 2)
    a, b = np.asarray(truth, np.float64), np.asarray(guess, np.float64)
    mean_a, mean_b = _blurred(a, radius), _blurred(b, radius)
    variance_a = _blurred(a * a, radius) - mean_a**2
    variance_b = _blurred(b * b, radius) - mean_b**2
    covariance = _blurred(a * b, radius) - mean_a * mean_b
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return float(np.mean(above / below))


def _blurred(image: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Gaussian means over windows that lie whole in the image."""
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / WINDOW_DEVIATION) ** 2)
    for axis in range(image.ndim):
        image = correlate1d(image, weights / weights.sum(), axis=axis)
    whole = tuple(slice(radius, side - radius) for side in image.shape)
    return np.asarray(image[whole])


def correlations(ones: Case, others: Case) -> NDArray[np.float64]:
    """(N, M) Pearson's correlation of every one with every other, each channel about its mean; 0 for a flat one."""
    a, b = _standardised(ones), _standardised(others)
    return np.asarray(a @ b.T)


def _standardised(cases: Case) -> NDArray[np.float64]:
    flat = np.stack([_channels(case) for case in cases])
    flat = flat - flat.mean(2, keepdims=True)
    rows = flat.reshape(len(cases), -1)
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))


def _channels(case: Case) -> NDArray[np.float64]:
    """(channels, values)"""
    array = np.asarray(case, np.float64)
    return array.reshape(len(array), -1) if array.ndim > 1 else array[None]
