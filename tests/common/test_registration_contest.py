"""Rivals of what was found: places turned, shifted or mirrored, which the parts of the images prefer or do not."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.contest import contest, preferred
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.pyramid import coarser
from common.registration.sampling import resample
from common.registration.shifts import shifts

STILL = Linear.identity(2)


def tissue(seed: int, shape: tuple[int, ...] = (48, 40)) -> Image:
    """Blobs that repeat nowhere, from 0 to 1."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    return Image(((values - values.min()) / np.ptp(values)).astype(np.float32), Geometry.of(shape))


def round_head() -> Image:
    """A bright rim, the same from every side, about blobs."""
    image, shape = tissue(3, (24, 24, 24)), (24, 24, 24)
    distance = np.sqrt(sum((axis - 11.5) ** 2 for axis in np.indices(shape)))
    rim = gaussian_filter(((distance > 8) & (distance < 10)).astype(np.float64), 0.7)
    inside = np.where(distance < 8, 0.5 * image.values, 0.0)
    return Image((rim + inside).astype(np.float32), Geometry.of(shape))


def windows() -> tuple[Image, Image, Linear]:
    """A fifth of each lies in the other, and the moving one's file says that it lies elsewhere."""
    whole = tissue(5, (90, 40)).values
    moving = Image(np.ascontiguousarray(whole[40:]), Geometry.of((50, 40), 1.0, (5.0, -3.0)))
    return moving, Image(np.ascontiguousarray(whole[:50]), Geometry.of((50, 40))), Linear.of(np.eye(2), [-35.0, -3.0])


def test_the_best_shift_is_the_one_by_which_an_image_was_moved() -> None:
    """By 6 and -4 pixels, whatever its values became; what is left is the score of images that lie on each other."""
    fixed = tissue(0)
    moving = Image(1 - 0.5 * fixed.values, Geometry.of((48, 40), 1.0, (6.0, -4.0)))
    ((place, score),) = shifts(Pair(moving, fixed), STILL, 1)
    np.testing.assert_allclose(place.matrix[:2, 2], [6.0, -4.0], atol=1e-9)
    assert score > 5
    assert list(shifts(Pair(moving, fixed), Linear.of(np.eye(2), [500.0, 0.0]), 1)) == []


def test_windows_of_one_image_that_hardly_overlap_find_their_place() -> None:
    """From where their files say that they lie, which parts that have a counterpart do not prefer."""
    moving, fixed, true = windows()
    told = contest([Pair(moving, fixed)], STILL)
    assert told.is_open
    assert told.rival is not None
    np.testing.assert_allclose(told.rival.matrix, true.matrix, atol=0.1)
    assert not contest([Pair(moving, fixed)], true).is_open


def test_tissue_that_repeats_itself_may_lie_a_period_further() -> None:
    one, two = (np.cos(axis * np.pi / 4) for axis in np.indices((64, 56)))
    cells = Image((one * two / 2 + 0.5).astype(np.float32), Geometry.of((64, 56)))
    told = contest([Pair(cells, cells)], STILL)
    assert told.alike
    assert told.is_open
    assert not contest([Pair(tissue(0), tissue(0))], STILL).is_open


def honeycomb(places: np.ndarray, seed: int) -> Image:
    """Cells of 6.9 pixels in a little noise."""
    ways = [(np.cos(angle), np.sin(angle)) for angle in np.deg2rad([0, 120, 240])]
    cells = sum(np.cos((places[0] * x + places[1] * y) * 2 * np.pi / 6.9) for x, y in ways) / 4.5
    noise = np.random.default_rng(seed).normal(0, 0.03, cells.shape)
    return Image((cells + noise).astype(np.float32), Geometry.of(cells.shape))


def test_cells_that_coarse_images_lack_may_lie_a_period_further() -> None:
    """Turned by 20 degrees, so that no shift by whole pixels meets them; coarse pixels are of four."""
    places = np.indices((86, 86)).astype(np.float64)
    turn = Linear.of(Rotation.from_euler("z", 20, degrees=True).as_matrix()[:2, :2], [0, 0], [42.5, 42.5])
    there = turn.map_points(torch.from_numpy(places.reshape(2, -1).T)).numpy().T.reshape(places.shape)
    one, two = honeycomb(places, 0), honeycomb(there, 1)
    told = contest([Pair(coarser(one, 4), coarser(two, 4)), Pair(one, two)], turn)
    assert told.is_open
    assert told.preferred > told.least


def test_a_round_head_turned_wrongly_is_told_by_what_is_inside() -> None:
    """The rim agrees however it is turned."""
    head, right = round_head(), Linear.identity(3)
    turn = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    wrong = Linear.of(turn, np.zeros(3), head.geometry.centre_mm)
    images = [Pair(head, head)]
    assert not contest(images, right).is_open
    told = contest(images, wrong)
    assert told.is_open
    assert told.rival is not None
    np.testing.assert_allclose(told.rival.matrix, right.matrix, atol=0.05)
    assert preferred(images, told.rival, wrong) > 0.9


def test_an_image_and_its_mirror_image_are_told_apart_by_few_parts() -> None:
    """Left and right are alike but for one spot, as in a head."""
    half = tissue(7, (24, 40)).values
    both = np.concatenate([half, half[::-1]])
    both[30:36, 10:16] += 0.3
    fixed = Image(both, Geometry.of((48, 40)))
    flipped = Image(both[::-1].copy(), fixed.geometry)
    assert not contest([Pair(fixed, fixed)], STILL).is_mirrored
    noisy = Image(resample(flipped, fixed.geometry, Linear.of(np.eye(2), [0.3, 0.0])).values, fixed.geometry)
    assert contest([Pair(noisy, fixed)], STILL).is_mirrored


def test_what_is_alike_on_its_own_plane_is_no_rival() -> None:
    """A lone slice mirrored through its plane is the slice."""
    flat = tissue(0)
    lone = Image(flat.values[..., None], Geometry.of((48, 40, 1)))
    told = contest([Pair(lone, lone)], Linear.identity(3))
    assert not told.is_mirrored
    assert not told.is_open


def test_a_slice_turned_by_a_little_is_held_against_places_that_it_does_not_come_back_from() -> None:
    """Small turns lead back to what was found, and would say that it has no rival."""
    fixed = tissue(9)
    wrong = Linear.of(
        Rotation.from_euler("z", 120, degrees=True).as_matrix()[:2, :2], [0, 0], fixed.geometry.centre_mm
    )
    told = contest([Pair(fixed, fixed)], wrong)
    assert told.rival is not None
    np.testing.assert_allclose(told.rival.matrix, STILL.matrix, atol=0.05)
