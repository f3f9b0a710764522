"""Turned far, small, thin, mirrored, unlike, round: what is found, and what a failed search says of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.attempts import Attempt, _unsupported
from common.registration.choices import similarity_of
from common.registration.linear import Linear
from common.registration.linear_registration import Search
from common.registration.local_agreement import NOT_ASKED, Agreement, agreement
from common.registration.objective import Pair
from common.registration.optimisers import Lbfgs
from common.registration.record import Registration
from common.registration.register import register
from common.registration.sampling import resample
from common.registration.second_look import rivals

LATTICE = Geometry.of((32, 30, 28))


def head() -> Image:
    """A lump with three unlike ones in it, the darkest outside: as a head is, no way of turning it looks the same."""
    x, y, z = np.moveaxis(np.indices(LATTICE.shape), 0, 0) - np.reshape(LATTICE.centre_mm, (3, 1, 1, 1))
    values = np.where((x / 12) ** 2 + (y / 10) ** 2 + (z / 8) ** 2 < 1, 100.0, 0.0)
    for place, size, height in (((5, 2, 1), 4, 90), ((-4, 4, -2), 3, -60), ((1, -5, 3), 3, 60)):
        inside = sum((axis - at) ** 2 for axis, at in zip((x, y, z), place, strict=True)) < size**2
        values[inside] += height
    return Image(gaussian_filter(values, 1.0) - 1000.0, LATTICE)


def scaled(image: Image) -> Image:
    return Image(((image.values - image.values.min()) / np.ptp(image.values)).astype(np.float32), image.geometry)


def turned(degrees: tuple[float, float, float]) -> Linear:
    matrix = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    return Linear.of(matrix, [1.0, -2.0, 1.0], LATTICE.centre_mm)


def error_mm(found: Registration, true: Linear) -> float:
    points = torch.from_numpy(LATTICE.centre_mm + 6 * np.vstack([np.eye(3), -np.eye(3)]))
    return float((found.transform.map_points(points) - true.map_points(points)).norm(dim=-1).max())


@pytest.mark.parametrize("degrees", [(0, 0, 30), (0, 0, 120), (0, 0, 180), (40, -50, 110)])
def test_a_turn_of_any_size_is_found_from_one_start(degrees: tuple[float, float, float]) -> None:
    moving, true = head(), turned(degrees)
    fixed = resample(moving, LATTICE, true, outside=-1000.0)
    found = register(moving, fixed, "rigid", points=3000)
    assert error_mm(found, true) < 0.3
    assert found.doubts == ()


def test_a_flat_image_turned_upside_down_is_found_too() -> None:
    flat = Image(head().values[:, :, 15], Geometry.of(LATTICE.shape[:2]))
    true = Linear.of([[-1.0, 0.0], [0.0, -1.0]], [1.0, 2.0], flat.geometry.centre_mm)
    found = register(flat, resample(flat, flat.geometry, true, outside=-1000.0), "rigid")
    np.testing.assert_allclose(found.transform.matrix, true.matrix, atol=0.05)  # type: ignore[attr-defined]


def test_a_slice_and_a_small_block_find_their_place_in_a_volume() -> None:
    fixed = head()
    slab = Image(fixed.values[:, :, 15:16], Geometry.of((32, 30, 1), 1.0, (0, 0, 15)))
    assert error_mm(register(slab, fixed, "rigid"), Linear.identity(3)) < 1.0
    block = Image(fixed.values[12:24, 9:21, 8:20], Geometry.of((12, 12, 12), 1.0, (12, 9, 8)))
    found = register(block, fixed, "rigid")
    assert error_mm(found, Linear.identity(3)) < 1.0
    assert found.doubts == ()


def test_images_that_share_nothing_are_in_doubt_and_what_was_tried_is_said() -> None:
    fixed = Image(head().values[4:28:2, 4:26:2, 15], Geometry.of((12, 11), 2.0))
    found = register(Image(np.random.default_rng(0).normal(size=(12, 11)), fixed.geometry), fixed, "rigid")
    assert found.doubts
    assert [one.split(":")[0] for one in found.tried[:2]] == ["cc from 1 rotation", "mi from 1 rotation"]
    assert found.as_json()["failed"] is True


def test_parts_agree_where_the_right_place_was_found_and_nowhere_else() -> None:
    """However the values of one image are changed, and asked of the small one where one is a part of the other."""
    fixed, still = head(), Linear.identity(3)
    inverted = Image(100 - 0.5 * fixed.values, LATTICE)
    block = Image(fixed.values[12:24, 9:21, 8:20], Geometry.of((12, 12, 12), 1.0, (12, 9, 8)))
    for moving in (fixed, inverted, block):
        assert agreement([Pair(scaled(moving), scaled(fixed))], still).share == 1
    for wrong in (Linear.of(np.eye(3), [4.0, 0.0, 0.0]), turned((0, 0, 90)), turned((40, -50, 110))):
        found = agreement([Pair(scaled(inverted), scaled(fixed))], wrong)
        assert found.share < 0.45
        assert found.by_chance == pytest.approx(27 / 343, abs=0.06)


def test_few_parts_that_agree_may_do_so_by_luck() -> None:
    assert Agreement(2, 0.5, 0.12).luck == pytest.approx(1 - 0.88**2)
    assert Agreement(3, 1.0, 0.1).luck == pytest.approx(0.001)
    assert Agreement(40, 0.5, 0.12).luck < 1e-8
    assert NOT_ASKED.luck == 1


def test_a_ball_may_lie_either_way_round() -> None:
    """Nothing tells how a thing is turned that looks the same from all sides."""
    squared = sum((axis - 15.5) ** 2 for axis in np.indices((32, 32)))
    ball = Image(gaussian_filter(np.where(squared < 100, 1.0, 0.0) + np.where(squared < 25, 1.0, 0.0), 1.0),
                 Geometry.of((32, 32)))  # fmt: skip
    (doubt,) = register(ball, ball, "rigid").doubts
    assert "no telling which way round" in doubt


def test_a_mirrored_image_is_said_to_be_mirrored() -> None:
    fixed = head()
    (doubt,) = register(Image(fixed.values[::-1].copy(), LATTICE), fixed, "rigid", points=3000).doubts
    assert "with one of them mirrored" in doubt


def test_a_transform_that_leaves_no_overlap_is_in_doubt() -> None:
    fixed = head()
    away = Linear.of(np.eye(3), [500.0, 0.0, 0.0])
    found = register(fixed, fixed, "rigid", initial=away)
    assert "counterpart" in found.doubts[0]


def test_no_place_rivals_what_lies_far_below_all_others() -> None:
    """And where another lies as low before any search as what was found after one, it is searched from."""
    here, turns = Linear.identity(2), [np.array([[0.0, -1.0], [1.0, 0.0]]), -np.eye(2)]
    start = Linear.of(np.eye(2), [1.0, 0.0])
    costs = {(1.0, 0.0): -1.0, (1.0, 1.0): -0.9, (0.0, 0.0): -0.6, (-1.0, 0.0): -0.7}
    cost = lambda place: costs[float(place.matrix[0, 0]), float(place.matrix[0, 2])]  # noqa: E731
    assert rivals(cost, start, here, np.zeros(2), turns) == []
    costs[-1.0, 0.0] = -0.95
    (rival,) = rivals(cost, start, here, np.zeros(2), turns)
    assert rival.matrix[0, 0] == -1


def test_masks_of_any_numbers_are_what_is_not_zero() -> None:
    flat = Geometry.of(LATTICE.shape[:2])
    moving = Image(head().values[:, :, 15], flat)
    fixed = resample(
        moving, flat, Linear.of([[0.98, -0.2], [0.2, 0.98]], [1.0, -2.0], flat.centre_mm), outside=-1000.0
    )
    inside = fixed.values > -950
    found = [
        register(moving, fixed, "rigid", levels=1, fixed_mask=Image(mask, flat), moving_mask=Image(mask, flat))
        for mask in (inside, inside.astype(np.uint8) * 4, inside.astype(">f4") * -0.5)
    ]
    for other in found[1:]:
        assert torch.equal(found[0].transform.matrix, other.transform.matrix)  # type: ignore[attr-defined]
    with pytest.raises(ImageError, match="the fixed mask must"):
        register(moving, fixed, fixed_mask=Image(np.where(inside, 1.0, np.nan), flat))


def test_beyond_the_moving_image_lies_its_least_value_or_what_is_named() -> None:
    fixed = head()
    part = Image(fixed.values[:, :, 10:], Geometry.of((32, 30, 18), 1.0, (0, 0, 10)))
    for outside, wanted in ((None, part.values.min()), (-1024.0, -1024.0), (0.0, 0.0)):
        found = register(part, fixed, "rigid", levels=1, points=500, outside=outside, initial=Linear.identity(3))
        assert np.unique(found.image.values[:, :, :5]).tolist() == pytest.approx([wanted])


def test_labels_that_cannot_hold_the_value_outside_are_refused() -> None:
    labels = Image(np.ones((3, 3), np.uint8), Geometry.of((3, 3)))
    away = Linear.of(np.eye(2), [2.0, 0.0])
    assert resample(labels, labels.geometry, away, labels=True).values.tolist() == [[1] * 3, [0] * 3, [0] * 3]
    for outside in (-1.0, 0.5, 256.0, np.nan):
        with pytest.raises(ImageError, match="cannot hold"):
            resample(labels, labels.geometry, away, labels=True, outside=outside)


def test_what_only_a_rival_led_to_is_in_doubt_unless_most_parts_speak_for_it() -> None:
    """On tissue that repeats itself such a place is one of many; of its parts 48 and 54 % agreed."""
    search = Search(similarity_of("cc"), Lbfgs(), 100, 1, np.random.default_rng(0))
    failed = Attempt(search, Linear.identity(2), [], Agreement(100, 0.09, 0.1), ("next to nothing is shared",))
    rival = replace(failed, agreeing=Agreement(100, 0.48, 0.1), against=(), turned=True)
    (said,) = _unsupported(rival, [failed]).against
    assert said == "only a search from another way round came to it, and 48% of the parts agree"
    for sure in (
        _unsupported(replace(rival, agreeing=Agreement(100, 0.7, 0.1)), [failed]),
        _unsupported(rival, [replace(failed, against=())]),
        _unsupported(replace(rival, turned=False), [failed]),
    ):
        assert sure.against == ()
