"""Lattices made finer by cubic splines."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.filters import refinement
from common.registration.objective import Pair


def test_refining_keeps_a_constant_and_follows_a_smooth_curve() -> None:
    places = np.arange(40.0)
    centres = (np.arange(80) + 0.5) / 2 - 0.5
    curve = np.sin(places / 5)
    matrix = refinement(40, 80).numpy()
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose((matrix @ curve)[20:60], CubicSpline(places, curve)(centres)[20:60], atol=1e-4)


def test_a_refined_mask_covers_the_same_voxels() -> None:
    geometry = Geometry.of((9, 10))
    image = Image(np.random.default_rng(0).random((9, 10), np.float32), geometry)
    mask = Image(np.arange(90).reshape(9, 10) % 3 == 0, geometry)
    fine = Pair(image, image, None, mask).refined(2)
    assert fine.fixed_mask is not None and fine.moving_mask is None
    np.testing.assert_array_equal(fine.fixed_mask.values[::2, 1::2], mask.values)
    assert fine.fixed_mask.geometry.same_place(fine.fixed.geometry)
