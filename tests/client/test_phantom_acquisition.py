from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from client.sources._phantom_acquisition import Scan, draw_places, moved, resample, rician, sensitivity
from client.sources._phantom_atlas import AIR, WHITE
from client.sources._phantom_scanners import SCANNERS, Scanner
from client.sources._phantom_signal import TISSUES

PERFECT = Scanner("perfect", 1.5, 500, 14, None, pixel_mm=1.0, slice_mm=1.0, noise=0.0, bias=0.0)


def picture(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((size, size), np.float32)


def test_halving_the_resolution_takes_means_of_four() -> None:
    image = np.float32([[0, 4, 1, 1], [8, 0, 1, 1], [2, 2, 5, 5], [2, 2, 5, 9]])
    np.testing.assert_array_equal(resample(image, 2), [[3, 1], [2, 6]])


def test_a_pixel_across_an_edge_takes_its_part_of_both() -> None:
    """Three pixels to two: (0 + 3/2) / 1.5 = 1 and (3/2 + 6) / 1.5 = 5."""
    image = np.tile(np.float32([0, 3, 6]), (3, 1))
    np.testing.assert_allclose(resample(image, 2), [[1, 5], [1, 5]], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_keeps_the_mean(before: int, after: int) -> None:
    image = picture(before)
    assert resample(image, after).mean() == pytest.approx(image.mean(), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_resampling_is_the_mean_over_a_grid_both_divide(before: int, after: int) -> None:
    image = picture(before)
    fine = np.kron(image, np.ones((after, after)))
    slow = fine.reshape(after, before, after, before).mean(axis=(1, 3))
    np.testing.assert_allclose(resample(image, after), slow, rtol=1e-5)


@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0, 4.0])
def test_noise_is_rician(signal: float) -> None:
    sigma, rng = 0.7, np.random.default_rng(3)
    values = rician(np.full((400, 400), signal, np.float32), sigma, rng).ravel().astype(np.float64)
    law = stats.rice(signal / sigma, scale=sigma)
    error = law.std() / np.sqrt(values.size)
    assert abs(values.mean() - law.mean()) < 4 * error
    assert values.var() == pytest.approx(law.var(), rel=0.02)
    assert stats.kstest(values, law.cdf).pvalue > 0.001


def test_air_shows_the_noise_the_table_states() -> None:
    """Where there is no signal a Rice distribution is Rayleigh's: mean sigma sqrt(pi / 2)."""
    scanner, rng = SCANNERS["ashford-general"], np.random.default_rng(1)
    scan = Scan.begin(scanner, TISSUES, rng)
    size = round(220 / scanner.pixel_mm)
    air = scan.image(np.full((1, 3 * size, 3 * size), AIR, np.uint8), 220.0, size, rng)
    sigma = scanner.noise * scan.signals[WHITE]
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)


def test_a_perfect_scanner_shows_the_signal_of_the_tissue() -> None:
    rng = np.random.default_rng(0)
    scan = Scan.begin(PERFECT, TISSUES, rng)
    image = scan.image(np.full((2, 96, 96), WHITE, np.uint8), 220.0, 32, rng)
    np.testing.assert_allclose(image, scan.signals[WHITE], rtol=0.15)
    assert image.mean() == pytest.approx(scan.signals[WHITE], rel=0.01)
    assert 0.005 < image.std() / image.mean() < 0.04


def test_a_head_that_moves_before_the_scan_is_shifted_whole() -> None:
    image = picture(12)
    shifted = moved(image, np.tile([2.0, -3.0], (12, 1)))
    np.testing.assert_allclose(shifted, np.roll(image, (2, -3), (0, 1)), atol=1e-5)


def test_a_head_at_rest_is_unchanged() -> None:
    np.testing.assert_allclose(moved(picture(9), np.zeros((9, 2))), picture(9), atol=1e-6)


def test_each_line_of_k_space_is_of_the_head_where_it_was_then() -> None:
    """The slow way: shift the whole head, transform, and take one line."""
    image, lines = picture(10), 10
    places = np.random.default_rng(4).integers(-3, 4, (lines, 2)).astype(float)
    space = np.empty((lines, lines), complex)
    for line in range(lines):
        whole = np.fft.fftshift(np.fft.fft2(np.roll(image, places[line].astype(int), (0, 1))), axes=0)
        space[line] = whole[line]
    slow = np.fft.ifft2(np.fft.ifftshift(space, axes=0))
    np.testing.assert_allclose(moved(image, places), slow, atol=1e-5)


def test_a_restless_head_starts_at_rest_and_moves_as_far_as_stated() -> None:
    rng = np.random.default_rng(0)
    places = np.stack([draw_places(64, 2.5, rng) for _ in range(600)])
    assert np.mean(np.all(places[:, 0] == 0, axis=1)) > 0.9
    assert places[:, -1].std() == pytest.approx(2.5, rel=0.1)


def test_a_coil_of_zeros_is_even_and_a_tilted_one_follows_its_exponential() -> None:
    np.testing.assert_array_equal(sensitivity(np.zeros(5), 7), np.ones((7, 7)))
    tilted = sensitivity(np.array([0.3, 0, 0, 0, 0]), 5)
    np.testing.assert_allclose(tilted[2], np.exp(0.3 * np.linspace(-1, 1, 5)), rtol=1e-6)
