"""Steps of augmentations against numbers worked out by hand, and against slow ways to the same view."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from common.selfsupervision.bias_field import BiasField
from common.selfsupervision.cut_out import CutOut
from common.selfsupervision.greys import Greys
from common.selfsupervision.pipeline import Step
from common.selfsupervision.pixel_noise import PixelNoise
from common.selfsupervision.separable import Blur, Ghosts
from common.selfsupervision.warps import Crop, side_of

IMAGE = torch.arange(16, dtype=torch.float64).reshape(1, 1, 4, 4)
WHOLE = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
COUNT = 200


def row(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float32)


def drawn(step: Step, shape: tuple[int, ...], count: int = COUNT) -> np.ndarray:
    chances = np.random.default_rng(0).random((count, step.chances(len(shape) - 1)))
    return step.drawn(chances, shape)


def test_a_crop_of_exactly_half_shows_the_pixels_of_that_half() -> None:
    lower_right = row(0.5, 0, 0.5, 0, 0.5, 0.5)
    half = Crop(0.2).resized(IMAGE, lower_right, (2, 2))
    assert half.flatten().tolist() == [10, 11, 14, 15]
    # brought back to size, pixels lie at 1.75, 2.25, 2.75 and 3.25 of the image's, whose edge goes on beyond 3
    larger = Crop(0.2).apply(IMAGE, lower_right)[0, 0]
    assert larger[0].tolist() == [4 * 1.75 + 1.75, 4 * 1.75 + 2.25, 4 * 1.75 + 2.75, 4 * 1.75 + 3]


def test_mirrored_axes_are_reversed() -> None:
    left_right = Crop(0.2).apply(IMAGE, row(-1, 0, 0, 0, 1, 0))
    assert torch.equal(left_right, IMAGE.flip(3))
    volume = torch.arange(24.0).reshape(1, 1, 2, 3, 4)
    first_axis = Crop(0.2).apply(volume, row(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0))
    torch.testing.assert_close(first_axis, volume.flip(2))


def test_a_quarter_turn_is_numpys() -> None:
    step = Crop(rotation_degrees=90)
    turned = step.drawn(np.array([[0.5] * 7 + [1.0]]), (1, 4, 4))
    views = step.apply(IMAGE, torch.from_numpy(turned))
    assert views[0, 0].round().tolist() in (np.rot90(IMAGE[0, 0]).tolist(), np.rot90(IMAGE[0, 0], -1).tolist())


def test_a_turn_keeps_lengths_in_an_image_that_is_not_square() -> None:
    """A pixel 5 to the right of the middle is shown 5 below it, of an image of 31 by 21."""
    image = torch.zeros(1, 1, 21, 31, dtype=torch.float64)
    image[0, 0, 10, 20] = 1
    step = Crop(rotation_degrees=90)
    view = step.apply(image, torch.from_numpy(step.drawn(np.array([[0.5] * 7 + [1.0]]), (1, 21, 31))))[0, 0]
    assert sorted(divmod(int(view.argmax()), 31)) in ([5, 15], [15, 15])
    assert view.max() == pytest.approx(1)


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(1, 10), st.sampled_from([(1, 9), (1, 8, 6), (2, 5, 6, 7)]))
def test_a_crop_has_the_share_and_the_aspect_that_are_allowed_and_lies_within_the_image(
    one: float, other: float, aspect: float, shape: tuple[int, ...]
) -> None:
    least, most, axes = min(one, other), max(one, other), len(shape) - 1
    maps = drawn(Crop(least, most, aspect, (-1,)), shape, 20).reshape(20, axes, axes + 1)
    sides, centres = np.abs(np.diagonal(maps[:, :, :axes], axis1=1, axis2=2)), maps[:, :, axes]
    share = sides.prod(axis=1)
    assert np.all(share >= least - 1e-9) and np.all(share <= most + 1e-9)
    assert np.all(sides <= 1 + 1e-9) and np.all(np.abs(centres) + sides <= 1 + 1e-9)
    assert np.all(sides.max(axis=1) <= aspect * sides.min(axis=1) + 1e-9)


def test_half_of_the_views_are_mirrored_along_the_axes_that_are_named_alone() -> None:
    signs = np.sign(drawn(Crop(mirrored=(0,)), (1, 4, 4)))
    assert 0.4 < np.mean(signs[:, 4] < 0) < 0.6, "axis 0 is the second row of torch's maps"
    assert np.all(signs[:, 0] == 1)


def test_a_crops_side_is_at_least_one_pixel() -> None:
    assert side_of((28, 28), 3 / 7) == (12, 12) and side_of((1, 64), 0.1) == (1, 6)


def test_contrast_stretches_greys_about_their_mean() -> None:
    image = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]], dtype=torch.float64)
    stretched = Greys(contrast=1).apply(image, row(1.5, 0, 1))
    assert stretched.flatten().tolist() == pytest.approx([-1.5, 1.5, 4.5, 7.5])
    brighter = Greys(brightness=1).apply(image, row(1, 0.5, 1))  # half a deviation, which is the root of 5
    assert brighter.flatten().tolist() == pytest.approx([value + sqrt(5) / 2 for value in (0, 2, 4, 6)])


def test_gamma_raises_shares_of_the_range_to_a_power_and_keeps_both_ends() -> None:
    image = torch.tensor([[[10.0, 12.5, 20.0, 30.0]]], dtype=torch.float64)
    curved = Greys(gamma=1).apply(image, row(1, 0, 2))[0, 0].tolist()
    assert curved == pytest.approx([10, 10 + 20 / 64, 15, 30], abs=0.01)
    assert (curved[0], curved[3]) == (pytest.approx(10, abs=1e-6), pytest.approx(30, abs=1e-6))


def test_every_channel_is_changed_by_its_own_greys() -> None:
    one, other = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = Greys(0.4, 0.4, 0.4).apply(torch.stack([one, 1000 * other], 1), row(1.3, 0.2, 0.8))
    for channel, image in enumerate((one, 1000 * other)):
        alone = Greys(0.4, 0.4, 0.4).apply(image[None], row(1.3, 0.2, 0.8))
        torch.testing.assert_close(together[:, channel : channel + 1], alone)


def test_a_blur_is_scipys_away_from_the_edges_and_keeps_what_is_flat() -> None:
    line = torch.zeros(1, 1, 41, dtype=torch.float64)
    line[0, 0, 20] = 1
    blurred = Blur(3).apply(line, row(1.5))[0, 0].numpy()
    np.testing.assert_allclose(blurred, gaussian_filter1d(line[0, 0].numpy(), 1.5, truncate=8), atol=1e-9)
    torch.testing.assert_close(Blur(3).apply(torch.ones(1, 1, 4, 4), row(2.0)), torch.ones(1, 1, 4, 4))


def test_ghosts_are_copies_at_equal_distances_as_weakened_lines_of_k_space_make_them() -> None:
    """Eight pixels, every second line weakened by half, but for that of the mean."""
    line = torch.zeros(1, 1, 8, dtype=torch.float64)
    line[0, 0, 1] = 1
    ghosts = Ghosts(1).apply(line, row(2, 0.5))[0, 0]
    lines = np.fft.fft(line[0, 0].numpy())
    lines[[2, 4, 6]] *= 0.5
    np.testing.assert_allclose(ghosts.numpy(), np.fft.ifft(lines).real, atol=1e-12)
    # by hand: -1/4 of the pixel at 1 and at 5, where every second line adds up, and 1/16 everywhere for the mean
    assert ghosts.tolist() == pytest.approx([*[1 / 16], 13 / 16, *[1 / 16] * 3, -3 / 16, *[1 / 16] * 2])


def test_a_bias_field_is_the_exponential_of_legendre_polynomials() -> None:
    """Along four pixels, at -.75, -.25, .25 and .75, the first polynomial is the place itself."""
    image = torch.tensor([[[0.0, 2.0, 2.0, 2.0]]], dtype=torch.float64)
    seen = BiasField(0.5).apply(image, row(0.4, 0, 0))[0, 0].tolist()
    assert seen == pytest.approx([0, 2 * exp(-0.1), 2 * exp(0.1), 2 * exp(0.3)], rel=1e-6)
    second = BiasField(0.5).apply(image, row(0, 0.4, 0))[0, 0].tolist()
    assert second[3] == pytest.approx(2 * exp(0.4 * (3 * 0.75**2 - 1) / 2), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 9), (1, 8, 6), (1, 5, 6, 7)])
def test_a_bias_field_differs_from_one_by_its_strength_at_most_and_comes_near_it(shape: tuple[int, ...]) -> None:
    step = BiasField(0.3)
    image = torch.ones(COUNT, *shape, dtype=torch.float64)
    image[:, :, 0] = 0
    field = step.apply(image, torch.from_numpy(drawn(step, shape)))[:, :, 1:]
    logarithms = field.log().abs()
    assert 0.2 < logarithms.max() < 0.31 and field.min() < 0.85 and field.max() > 1.15


def test_gaussian_noise_has_the_deviation_that_was_drawn_as_a_share_of_the_range() -> None:
    image = torch.linspace(0, 10, 10_000, dtype=torch.float64).reshape(1, 1, 100, 100)
    noise = PixelNoise(0.2).apply(image, row(0.1, 77, 5, 131, 9)) - image
    assert noise.std().item() == pytest.approx(1.0, rel=0.03) and abs(noise.mean().item()) < 0.03


def test_rician_noise_of_a_black_background_is_a_rayleigh_variable() -> None:
    image = torch.zeros(1, 1, 100, 100, dtype=torch.float64)
    image[0, 0, 0, 0] = 1
    seen = PixelNoise(0.2, "rician").apply(image, row(0.1, 77, 50_001, 131, 9))[0, 0, 1:]
    assert seen.min() >= 0 and seen.mean().item() == pytest.approx(0.1 * sqrt(pi / 2), rel=0.02)


def test_quantum_noise_grows_with_the_root_of_the_grey() -> None:
    image = torch.full((1, 1, 100, 100), 0.25, dtype=torch.float64)
    image[0, 0, :50], image[0, 0, 0, 0] = 1.0, 0.0
    noise = (PixelNoise(0.2, "quantum").apply(image, row(0.1, 77, 5, 131, 9)) - image)[0, 0]
    assert noise[1:50].std().item() == pytest.approx(0.1, rel=0.05)
    assert noise[50:].std().item() == pytest.approx(0.05, rel=0.05)


def test_noise_is_the_same_in_both_precisions_and_another_for_each_draw_channel_and_pixel() -> None:
    image = torch.zeros(2, 2, 600, 600)
    image[:, :, 0, 0] = 1
    places = torch.tensor([[1, 5, 6, 3, 7], [1, 9, 6, 3, 7]], dtype=torch.float32)
    noise = PixelNoise(0.2).apply(image, places) - image
    torch.testing.assert_close(
        PixelNoise(0.2).apply(image.double(), places) - image, noise.double(), atol=1e-6, rtol=0
    )
    apart = noise.flatten(2).flatten(0, 1)  # each channel is longer than the table of normal numbers
    assert (torch.corrcoef(apart) - torch.eye(4)).abs().max() < 0.02
    assert abs(torch.corrcoef(torch.stack([apart[0][:90_000], apart[0][-90_000:]]))[0, 1]) < 0.02


def test_the_first_numbers_of_noise_stay_what_they_were() -> None:
    """A study that is resumed by a later program sees the same views."""
    image = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]], dtype=torch.float64)
    noise = PixelNoise(1.0).apply(image, row(1, 0, 0, 1, 0)) - image
    assert noise[0, 0].tolist() == pytest.approx(FIRST_NORMAL_NUMBERS)


FIRST_NORMAL_NUMBERS = [0.395042728, -0.418696736, 0.002265716, 0.817775604]


def test_a_box_is_cut_out_and_shows_the_mean() -> None:
    """Half of each side, about the middle."""
    cut = CutOut(0.5).apply(IMAGE, row(0.5, 0, 0))
    assert cut[0, 0, 1:3, 1:3].flatten().tolist() == [7.5] * 4
    assert torch.equal(cut[0, 0, 0], IMAGE[0, 0, 0]) and torch.equal(cut[0, 0, :, 3], IMAGE[0, 0, :, 3])
    step = CutOut(0.3)
    hidden = step.apply(IMAGE.repeat(COUNT, 1, 1, 1).clone(), torch.from_numpy(drawn(step, (1, 4, 4)))) != IMAGE
    assert hidden.double().mean() < 0.3 and hidden.any()
