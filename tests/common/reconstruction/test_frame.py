"""The frame in which networks see images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.reconstruction.frame import Frame, strength
from common.reconstruction.phase import smooth_phase


def complex_images() -> torch.Tensor:
    """Two squares under smooth phases of a radian or so."""
    squares = np.zeros((2, 32, 32), np.float32)
    squares[0, 8:24, 6:26], squares[1, 4:20, 10:28] = 1, 0.5
    turned = [smooth_phase(square, 1.2, np.random.default_rng(index)) for index, square in enumerate(squares)]
    return torch.from_numpy(np.stack(turned)).double()


def test_what_is_put_back_is_what_was_shown() -> None:
    images = complex_images()
    frame = Frame.of(images, complex_images=True)
    torch.testing.assert_close(frame.put_back(frame.shown(images)), images, rtol=0, atol=1e-4)


def test_a_complex_image_is_shown_almost_real_and_at_a_strength_of_one() -> None:
    images = complex_images()
    shown = Frame.of(images, complex_images=True).shown(images)
    assert images[:, 1].norm() > 0.4 * images.norm()
    assert shown[:, 1].norm() < 0.2 * shown.norm()
    torch.testing.assert_close(strength(shown), torch.ones(2, 1, 1, 1, dtype=torch.float64), rtol=1e-4, atol=1e-4)


def test_a_turn_worked_out_by_hand() -> None:
    """i times -i is 1, at twice the strength."""
    frame = Frame(torch.full((1, 1, 1), 2.0), torch.tensor([[[0.0], [1.0]]]))
    torch.testing.assert_close(frame.shown(torch.tensor([[[0.0], [2.0]]])), torch.tensor([[[1.0], [0.0]]]))
    torch.testing.assert_close(frame.put_back(torch.tensor([[[1.0], [0.0]]])), torch.tensor([[[0.0], [2.0]]]))


def test_real_images_keep_their_signs() -> None:
    images = torch.tensor([[[3.0, -3.0]]])
    assert torch.equal(Frame.of(images, complex_images=False).shown(images), torch.tensor([[[1.0, -1.0]]]))


@pytest.mark.parametrize("complex_images", [False, True])
def test_an_image_of_zeros_stays_finite_and_so_does_its_gradient(complex_images: bool) -> None:
    images = torch.zeros(1, 2, 8, 8, requires_grad=True)
    frame = Frame.of(images, complex_images)
    frame.put_back(frame.shown(images) + 1).sum().backward()
    assert images.grad is not None and torch.isfinite(images.grad).all()
