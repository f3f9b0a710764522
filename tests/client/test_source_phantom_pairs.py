"""Pairs with a known displacement: what it says is what was done to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from client.sources.phantom_pairs import PhantomPairs, displaced, smooth_field
from common.data.cases import Cases, concatenate
from common.errors import StudyError
from common.registration.learned.spatial_transformer import jacobian_determinant, warp


def pairs() -> Cases:
    return PhantomPairs(hospitals=2, patients=(4,), size=48).cases("brackwater-university", seed=2)


def test_the_true_displacement_lays_the_moving_labels_on_the_fixed_ones() -> None:
    batch = pairs().batch()
    assert batch.displacement is not None
    moved = warp(batch.targets[:, :1].float(), batch.displacement, mode="nearest").long()
    before = (batch.targets[:, 0] == batch.targets[:, 1]).double().mean()
    after = (moved[:, 0] == batch.targets[:, 1]).double().mean()
    assert after > 0.9
    assert 1 - after < 0.4 * (1 - before)
    assert (jacobian_determinant(batch.displacement) > 0).all()


def test_the_true_displacement_makes_the_images_alike() -> None:
    batch = pairs().batch()
    assert batch.displacement is not None
    moved = warp(batch.inputs[:, :1], batch.displacement)[:, 0]
    error = (moved - batch.inputs[:, 1]).square().mean()
    assert error < 0.5 * (batch.inputs[:, 0] - batch.inputs[:, 1]).square().mean()


def test_a_field_has_the_size_asked_for_and_its_units_are_pixels() -> None:
    cases = pairs()
    assert cases.displacement is not None
    assert cases.displacement.dtype == np.float32
    size_mm = np.sqrt(np.square(cases.displacement * cases.spacing_mm[0]).mean())
    assert size_mm == pytest.approx(5.0, rel=0.02)
    field = smooth_field(60, 3.0, 20.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.square(field).mean(axis=(1, 2)), 9.0)


def test_a_constant_field_shifts_labels() -> None:
    slab = np.random.default_rng(0).integers(0, 4, (2, 6, 7), dtype=np.uint8)
    field = np.zeros((2, 6, 7))
    field[0], field[1] = 1, -2
    np.testing.assert_array_equal(displaced(slab, field)[:, :-1, 2:], slab[:, 1:, :-2])


def test_displacements_stay_with_their_pairs() -> None:
    cases = pairs()
    assert cases.displacement is not None
    taken = cases.take(np.array([2, 0]))
    assert taken.displacement is not None
    np.testing.assert_array_equal(taken.displacement[1], cases.displacement[0])
    both = concatenate([cases, taken]).batch(np.array([4]))
    assert both.displacement is not None
    assert torch.equal(both.displacement[0], torch.from_numpy(cases.displacement[2]))


def test_a_deformation_that_would_fold_is_refused() -> None:
    with pytest.raises(StudyError, match="deformation_mm"):
        PhantomPairs(deformation_mm=8.0, smoothness_mm=20.0)
