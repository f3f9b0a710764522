"""Interpolation against numbers worked out by hand, torch's own, and laws that it keeps."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from common.reconstruction.interpolation import Interpolation, resized, weights_along

sides = st.integers(1, 9)
hows = st.sampled_from(get_args(Interpolation))


def test_a_bilinear_value_is_that_of_alpha_and_beta_by_hand() -> None:
    """Of 2 x 2 pixels at twice the size, the inner places lie a quarter of the way from one pixel to the next."""
    image = torch.tensor([[[[1.0, 3.0], [5.0, 11.0]]]], dtype=torch.float64)
    large = resized(image, (4, 4), "bilinear")[0, 0]
    alpha, beta = 0.25, 0.75  # along x, along y
    by_hand = (1 - beta) * ((1 - alpha) * 1 + alpha * 3) + beta * ((1 - alpha) * 5 + alpha * 11)
    assert by_hand == 5.25
    assert large[2, 1] == pytest.approx(5.25)
    assert large[0, 0] == 1 and large[3, 3] == 11, "beyond the border the nearest pixel goes on"


def test_a_bicubic_line_is_that_of_keys_kernel_by_hand() -> None:
    """A place a quarter of the way from one pixel to the next, with a = -3/4."""
    a, near = -0.75, np.array([1.25, 0.25, 0.75, 1.75])
    outer = a * (near**3 - 5 * near**2 + 8 * near - 4)
    inner = (a + 2) * near**3 - (a + 3) * near**2 + 1
    by_hand = np.where(near > 1, outer, inner)
    np.testing.assert_allclose(by_hand, [-0.10546875, 0.87890625, 0.26171875, -0.03515625])
    # The fourth of eight places lies at 3.5 / 2 - 1/2 = 1.25.
    np.testing.assert_allclose(weights_along(4, 8, "bicubic")[3], by_hand)


@given(st.tuples(sides, sides), st.tuples(sides, sides), hows)
@settings(max_examples=40, deadline=None)
def test_images_are_interpolated_as_torch_does(
    small: tuple[int, int], large: tuple[int, int], how: Interpolation
) -> None:
    images = torch.randn(2, 3, *small, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(resized(images, large, how), interpolate(images, large, mode=how, align_corners=False))


def test_volumes_are_interpolated_as_torch_does_trilinearly() -> None:
    volume = torch.randn(1, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = interpolate(volume, (6, 9, 20), mode="trilinear", align_corners=False)
    torch.testing.assert_close(resized(volume, (6, 9, 20), "bilinear"), wanted)


@given(sides, sides, hows)
@settings(max_examples=40, deadline=None)
def test_weights_of_a_place_sum_to_one(small: int, large: int, how: Interpolation) -> None:
    np.testing.assert_allclose(weights_along(small, large, how).sum(1), 1)


def test_bicubic_of_a_volume_is_that_of_its_slices_one_way_and_then_the_other() -> None:
    volume = torch.randn(1, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    planes = interpolate(volume[0, 0][:, None], (8, 10), mode="bicubic", align_corners=False)[:, 0]  # (3, 8, 10)
    along = interpolate(planes.movedim(1, 0)[:, None], (6, 10), mode="bicubic", align_corners=False)[:, 0]
    torch.testing.assert_close(resized(volume, (6, 8, 10))[0, 0], along.movedim(0, 1))


def test_what_is_kept_between_calls_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        weights_along(4, 8, "bicubic")[0, 0] = 2
