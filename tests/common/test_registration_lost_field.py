"""Images filled up with a constant where nothing was seen: a line through intensities must not follow that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.linear import Linear
from common.registration.lost_field import lost
from common.registration.register import register
from common.registration.sampling import lattice_points

PLANE = Geometry.of((56, 48))
TRUE = Linear.of(np.array([[0.86, 0.17], [-0.2, 0.84]]), [1.5, -1.0], PLANE.centre_mm)


def tissue() -> np.ndarray:
    """Smooth, to the very edge."""
    values = gaussian_filter(np.random.default_rng(4).normal(size=PLANE.shape), 3.0)
    return np.asarray((values - values.min()) / np.ptp(values))


def on_a_field(constant: float, noise: float, everywhere: bool) -> tuple[Image, Image]:
    """The tissue moved, on a field of a constant; and the tissue. everywhere: whether the field is as noisy."""
    rng, size = np.random.default_rng(0), PLANE.shape
    back = PLANE.world_to_voxel(TRUE.inverse().map_points(lattice_points(PLANE)).numpy())
    seen = ((back >= 0) & (back <= np.array(size) - 1)).all(-1)
    moved = map_coordinates(tissue(), np.moveaxis(back, -1, 0), order=3)
    one = np.where(seen, moved, constant) + np.where(seen | everywhere, rng.normal(0, noise, size), 0)
    other = tissue() + rng.normal(0, noise, size)
    return Image(one.astype(np.float32), PLANE), Image(other.astype(np.float32), PLANE)


def error(found: Linear, true: Linear) -> float:
    """Mean, in pixels, over the middle."""
    points = lattice_points(PLANE)[10:-10, 10:-10]
    return float((found.map_points(points) - true.map_points(points)).norm(dim=-1).mean())


@pytest.mark.parametrize(("constant", "everywhere", "bound"), [(0.0, True, 0.35), (1.0, False, 0.15)])
def test_a_field_of_a_constant_draws_nothing_aside(constant: float, everywhere: bool, bound: float) -> None:
    """It drew a correlation aside by .50 and .43 pixels."""
    moving, fixed = on_a_field(constant, 0.03, everywhere)
    found = register(moving, fixed, "affine", "cc")
    assert isinstance(found.transform, Linear)
    assert error(found.transform, TRUE) < bound
    assert any("without what one image lacks" in one for one in found.tried)


def test_air_in_both_images_was_not_lost() -> None:
    """A disc in air, against itself; and with half of it emptied, which is."""
    rows, columns = np.indices(PLANE.shape)
    disc = tissue() * ((rows - 28) ** 2 + (columns - 24) ** 2 < 18**2)
    half = np.where(rows < 28, disc, 0.0)
    whole, emptied = (Image(values.astype(np.float32), PLANE) for values in (disc, half))
    still = Linear.identity(2)
    assert lost(whole, whole, still) is None
    gone = lost(emptied, whole, still)
    assert gone is not None
    assert gone[32:].all()
    assert not torch.from_numpy(gone[16:24, 16:32]).any()


def test_noise_in_which_all_seems_to_be_lost_is_searched_and_doubted() -> None:
    """Of two images of noise nothing was left to search, which ended in an IndexError."""
    rng = np.random.default_rng(1)
    small = Geometry.of((20, 20), 2.0)
    one, other = (Image(rng.normal(size=(20, 20)).astype(np.float32), small) for _ in range(2))
    assert lost(one, other, Linear.identity(2)) is None
    assert register(one, other, "rigid").doubts
