"""Evaluation by hand, and pictures of two images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.displacement import DisplacementField
from common.registration.evaluation import (
    endpoint_error_mm,
    label_dice,
    negative_jacobian_share,
    target_registration_error_mm,
)
from common.registration.linear import Linear
from common.registration.pictures import checkerboard, difference, scaled

LATTICE = Geometry.of((4, 3), 2.0)
SHIFT = Linear.of(np.eye(2), [3.0, 4.0])


def test_landmarks_that_lie_five_millimetres_off() -> None:
    errors = target_registration_error_mm(SHIFT, [[0, 0], [1, 1]], [[0, 0], [4, 5]])
    assert errors.tolist() == [5.0, 0.0]


def test_the_error_against_a_known_deformation_is_their_distance_in_the_mask() -> None:
    mask = Image(np.zeros(LATTICE.shape, bool), LATTICE)
    mask.values[1, 1] = mask.values[2, 2] = True
    assert endpoint_error_mm(SHIFT, Linear.identity(2), LATTICE).tolist() == [5.0] * 12
    assert endpoint_error_mm(SHIFT, SHIFT, LATTICE, mask).tolist() == [0.0, 0.0]


def test_dice_of_labels_that_were_shifted_by_one_voxel() -> None:
    """Label 7 fills two of four rows and comes back one row off: one row in both of 2 + 2. Label 9 is nowhere."""
    fixed, moving = np.zeros((4, 3), int), np.zeros((4, 3), int)
    fixed[0:2] = 7
    moving[2:4] = 7
    shifted = Linear.of(np.eye(2), [2.0, 0.0])
    scores = label_dice(shifted, Image(fixed, LATTICE), Image(moving, LATTICE), labels=[7, 9])
    assert scores[0] == pytest.approx(0.5)
    assert np.isnan(scores[1])
    assert label_dice(Linear.identity(2), Image(fixed, LATTICE), Image(fixed, LATTICE)).tolist() == [1.0]


def test_half_of_a_folded_lattice_is_folded() -> None:
    assert negative_jacobian_share(SHIFT, LATTICE) == 0
    assert negative_jacobian_share(Linear.of(np.diag([-1, 1]), [0, 0]), LATTICE) == 1
    vectors = torch.zeros(2, 4, 3, dtype=torch.float64)
    vectors[0] = torch.tensor([0.0, 0.0, -6.0, -12.0])[:, None]
    steep = DisplacementField(vectors, LATTICE)
    assert 0.2 < negative_jacobian_share(steep, LATTICE) < 0.8


def test_a_checkerboard_takes_fields_in_turn() -> None:
    board = checkerboard(np.zeros((4, 4)), np.ones((4, 4)), fields=2)
    assert board.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_images_that_agree_up_to_scale_have_no_difference() -> None:
    values = np.random.default_rng(0).normal(size=(9, 9))
    np.testing.assert_allclose(difference(values, 5 * values + 3), 0, atol=1e-12)
    assert scaled(np.full((3, 3), 4.0)).tolist() == np.zeros((3, 3)).tolist()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ImageError, match="counterpart"):
        target_registration_error_mm(SHIFT, [[0, 0]], [[0, 0], [1, 1]])
    with pytest.raises(ImageError, match="landmarks must be N x 2"):
        target_registration_error_mm(SHIFT, [[0, 0, 0]], [[0, 0, 0]])
    with pytest.raises(ImageError, match="mask"):
        endpoint_error_mm(SHIFT, SHIFT, LATTICE, Image(np.zeros((4, 3), bool), LATTICE))
    with pytest.raises(ImageError, match="resample one"):
        checkerboard(np.zeros((2, 2)), np.zeros((3, 3)))
