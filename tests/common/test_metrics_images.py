"""Image scores: numbers worked out by hand, scikit-image's own, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve

from common.errors import ImageError, UnknownNameError
from common.metrics import hfen, laplacian_variance, mae, mse, nmse, psnr, sharpness, ssim
from common.metrics.images import scores_of_each
from common.metrics.images.high_frequencies import detail
from common.metrics.images.of_cases import BOUNDS, NAMES, WORST
from common.sums.mean import means_of, merge

TRUTH = np.array([[0.0, 1.0], [2.0, 3.0]])
IMAGE = np.array([[0.0, 1.0], [2.0, 1.0]])

SCIKIT_IMAGE = {
    (20, 24): (22.999794965646746, 0.977324711110882, 0.9676691319128178, 0.9641971287362378, 0.01338379034871035),
    (14, 13, 12): (
        23.006654279113942,
        0.9804609395943912,
        0.979052671180303,
        0.9796772754129768,
        0.013510450034776555,
    ),
}
"""Of version 0.26.0: PSNR, SSIM, Wang's SSIM, SSIM of 5 pixels and range 2, NMSE, of `waves`."""


def waves(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    grid = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    truth = 0.5 + 0.5 * np.sin(sum((k + 1) * g for k, g in enumerate(grid)) * 0.3)
    return truth + 0.1 * np.cos(sum((2 * k + 3) * g for k, g in enumerate(grid)) * 0.7), truth


def test_one_wrong_pixel_of_four_is_scored_as_by_hand() -> None:
    assert mse(IMAGE, TRUTH) == 1.0
    assert mae(IMAGE, TRUTH) == 0.5
    assert nmse(IMAGE, TRUTH) == pytest.approx(4 / 14)
    assert psnr(IMAGE, TRUTH, data_range=3.0) == pytest.approx(10 * math.log10(9))
    assert sharpness(IMAGE, TRUTH) == pytest.approx((4 + 0 + 1 + 1) / (4 + 4 + 1 + 1))


@pytest.mark.parametrize("shape", SCIKIT_IMAGE)
def test_scores_are_those_of_scikit_image(shape: tuple[int, ...]) -> None:
    image, truth = waves(shape)
    ours = (
        psnr(image, truth, data_range=1.0),
        ssim(image, truth, data_range=1.0),
        ssim(image, truth, data_range=1.0, window="gaussian"),
        ssim(image, truth, data_range=2.0, side_px=5),
        nmse(image, truth),
    )
    assert ours == pytest.approx(SCIKIT_IMAGE[shape], abs=1e-10)


def test_ssim_of_channels_is_their_mean() -> None:
    image, truth = waves((3, 20, 24))
    assert ssim(image, truth, data_range=1.0, channels=True) == pytest.approx(0.9804576923405821, abs=1e-10)


def test_random_images_score_as_in_scikit_image_where_it_is_installed() -> None:
    peer = pytest.importorskip("skimage.metrics")
    image, truth = np.random.default_rng(0).random((2, 9, 31))
    assert ssim(image, truth, data_range=0.7) == pytest.approx(
        peer.structural_similarity(truth, image, data_range=0.7), abs=1e-10
    )


@pytest.mark.parametrize("shape", [(11, 17), (8, 9, 10)])
def test_detail_is_what_a_dense_laplacian_of_a_gaussian_leaves(shape: tuple[int, ...]) -> None:
    """MATLAB's fspecial('log', 15, 1.5), in 3D by the same formula."""
    squares = sum(np.meshgrid(*[np.arange(-7, 8.0) ** 2] * len(shape), indexing="ij"))
    kernel = np.exp(-squares / (2 * 1.5**2))
    kernel *= (squares - len(shape) * 1.5**2) / (1.5**4 * kernel.sum())
    image = np.random.default_rng(1).random(shape)
    dense = convolve(image, kernel - kernel.mean(), mode="nearest")
    np.testing.assert_allclose(detail(image), dense, atol=1e-13)


def test_a_blurred_image_lacks_detail_and_an_even_one_all_of_it() -> None:
    truth = np.random.default_rng(2).random((24, 24))
    blurred = (truth + np.roll(truth, 1, 0) + np.roll(truth, 1, 1) + np.roll(truth, (1, 1), (0, 1))) / 4
    assert 0.3 < hfen(blurred, truth) < 1
    assert sharpness(blurred, truth) < 0.6
    assert laplacian_variance(blurred) < 0.2 * laplacian_variance(truth)
    even = np.full_like(truth, truth.mean())
    assert hfen(even, truth) == pytest.approx(1)
    assert sharpness(even, truth) == laplacian_variance(even) == 0
    assert math.isnan(hfen(truth, even))
    assert math.isnan(sharpness(truth, even))


def test_complex_images_are_compared_by_magnitude() -> None:
    truth = np.random.default_rng(3).random((12, 12))
    turned = truth * np.exp(1j * np.linspace(0, 3, 12))
    assert psnr(turned, truth, data_range=1.0) > 300
    assert ssim(turned, truth, data_range=1.0) == pytest.approx(1)
    two = torch.from_numpy(np.stack([turned.real, turned.imag]))[None]
    true = torch.stack([torch.from_numpy(truth), torch.zeros(12, 12)])[None]
    found = scores_of_each(two, true, data_range=1.0, complex_images=True)
    assert found["psnr"][0] == 100.0
    assert found["nmse"][0] == pytest.approx(0)


def test_a_lone_slice_of_a_volume_is_a_plane() -> None:
    image, truth = waves((20, 24))
    for score in (hfen, sharpness):
        assert score(image[:, :, None], truth[:, :, None]) == score(image, truth)
    assert ssim(image[None], truth[None], data_range=1.0) == ssim(image, truth, data_range=1.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_a_unit_changes_no_score_whose_range_changes_with_it(seed: int, unit: float) -> None:
    image, truth = np.random.default_rng(seed).random((2, 8, 9))
    before = scores_of_each(image[None, None], truth[None, None], data_range=1.0)
    after = scores_of_each(unit * image[None, None], unit * truth[None, None], data_range=unit)
    for name in NAMES:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9)


def test_a_case_scores_the_same_bits_whoever_is_beside_it() -> None:
    images, truth = np.random.default_rng(4).random((2, 5, 2, 12, 10)).astype(np.float32)
    together = scores_of_each(images, truth, data_range=1.0)
    for index in range(5):
        alone = scores_of_each(images[index : index + 1], truth[index : index + 1], data_range=1.0)
        assert all(alone[name][0] == together[name][index] for name in NAMES)


def test_means_of_hospitals_merge_to_the_mean_of_all() -> None:
    images, truth = np.random.default_rng(5).random((2, 6, 1, 9, 9))
    parts = [means_of(scores_of_each(images[cut], truth[cut], data_range=1.0)) for cut in (slice(2), slice(2, 6))]
    assert merge(parts) == means_of(scores_of_each(images, truth, data_range=1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e38, -1e300])
def test_the_worst_image_counts_a_number_that_sums_can_hold(value: float) -> None:
    truth = np.random.default_rng(6).random((1, 1, 9, 9))
    found = scores_of_each(np.full_like(truth, value), truth, data_range=1.0)
    for name, (low, high) in BOUNDS.items():
        assert low <= found[name][0] <= high
    assert found["psnr"] == WORST["psnr"]
    assert found["nmse"] == WORST["nmse"]
    means_of(found)


def test_a_truth_of_zeros_counts_nothing_where_a_share_of_it_is_asked_for() -> None:
    zeros = np.zeros((1, 1, 9, 9))
    for image in (zeros, zeros + 1, zeros + math.nan):
        found = scores_of_each(image, zeros, data_range=1.0)
        assert [name for name in NAMES if math.isnan(found[name][0])] == ["nmse", "hfen", "sharpness"]
    assert scores_of_each(zeros, zeros, data_range=1.0)["psnr"][0] == 100.0


def test_a_window_shrinks_in_small_cases_and_is_refused_in_a_single_image() -> None:
    image, truth = np.random.default_rng(7).random((2, 6, 30))
    found = scores_of_each(image[None, None], truth[None, None], data_range=1.0, names=("ssim",))
    assert found["ssim"][0] == ssim(image, truth, data_range=1.0, side_px=5)
    with pytest.raises(ImageError, match=r"it has 7 pixels along each axis, and the image the shape \(6, 30\)"):
        ssim(image, truth, data_range=1.0)
    assert math.isnan(scores_of_each(np.zeros((1, 1, 2, 9)), np.ones((1, 1, 2, 9)), data_range=1.0)["ssim"][0])


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ImageError, match=r"truth's shape \(2, 2\); its own is \(4,\)"):
        mse(TRUTH.reshape(-1), TRUTH)
    with pytest.raises(ImageError, match="the image must hold finite numbers"):
        mae(TRUTH * math.nan, TRUTH)
    with pytest.raises(ImageError, match="data_range must be finite and above 0"):
        psnr(IMAGE, TRUTH, data_range=0.0)
    with pytest.raises(ImageError, match="must hold numbers; its dtype"):
        mae(np.array(["1"]), TRUTH)
    with pytest.raises(ImageError, match="side_px of SSIM must be odd"):
        ssim(IMAGE, TRUTH, data_range=1.0, side_px=4)
    with pytest.raises(ImageError, match=r"must both be \(N, 2, \*S\)"):
        scores_of_each(np.ones((1, 1, 9, 9)), np.ones((1, 1, 9, 9)), data_range=1.0, complex_images=True)
    with pytest.raises(UnknownNameError, match="'gaussian'"):
        ssim(IMAGE, TRUTH, data_range=1.0, window="gausian")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="'psnr'"):
        scores_of_each(np.ones((1, 1, 9, 9)), np.ones((1, 1, 9, 9)), data_range=1.0, names=("pnsr",))
