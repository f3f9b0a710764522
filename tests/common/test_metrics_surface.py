"""Distances between outlines: by hand, by brute force, by laws, and by other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial.distance import cdist

from common.errors import ImageError
from common.metrics import _rings
from common.metrics._columns import FARTHER, is_exact, search_along_columns
from common.metrics.borders import border
from common.metrics.nearest import REACH, Points, _steps
from common.metrics.surface import SurfaceDistances, surface_distances

SPACINGS = st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 3.0])] * 3)


def square(size: int, *corners: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[tuple(slice(a, b) for a, b in corners)] = True
    return mask


def random_masks(seed: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, dimensions))
    share = rng.uniform(0.02, 0.9)
    return rng.random(shape) < share, rng.random(shape) < share


def brute_force(points: np.ndarray, target: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    def outline(mask: np.ndarray) -> np.ndarray:
        flat = mask.squeeze() if mask.size > 1 else mask.reshape(-1)
        border = (flat & ~binary_erosion(flat)).reshape(mask.shape)
        return np.argwhere(border) * np.array(spacing)

    a, b = outline(points), outline(target)
    return cdist(a, b).min(axis=1) if len(a) and len(b) else np.full(len(a), np.inf)


def test_figures_of_two_squares_were_worked_out_by_hand() -> None:
    """A row of 3 pixels against the same row and one pixel 4 further along, pixels of 2 mm."""
    truth, prediction = np.zeros((3, 9), bool), np.zeros((3, 9), bool)
    truth[1, 0:3], prediction[1, 0:3], prediction[1, 6] = True, True, True
    found = SurfaceDistances.of(truth, prediction, (1.0, 2.0))
    assert found.to_truth_mm.tolist() == [0, 0, 0, 8]
    assert found.to_prediction_mm.tolist() == [0, 0, 0]
    assert found.hausdorff_mm == 8
    assert found.hausdorff_percentile_mm() == pytest.approx(0.85 * 8)
    assert found.hausdorff_percentile_mm(of="pooled") == pytest.approx(0.7 * 8)
    assert found.average_symmetric_mm == pytest.approx(8 / 7)
    assert found.mean_average_mm == pytest.approx((8 / 4 + 0) / 2)
    assert found.surface_dice(1.0) == pytest.approx(6 / 7)
    assert found.surface_dice(8.0) == 1


def test_outlines_and_whole_masks_give_other_distances_on_a_square_with_a_hole() -> None:
    truth = square(11, (0, 11), (0, 11))
    prediction = truth.copy()
    prediction[2:9, 2:9] = False
    whole, outline = (SurfaceDistances.of(truth, prediction, outline=kind) for kind in ("mask", "border"))
    assert (whole.hausdorff_mm, outline.hausdorff_mm) == (4.0, 1.0)


def test_empty_masks_are_defined() -> None:
    empty, full = np.zeros((4, 4), bool), square(4, (1, 3), (1, 3))
    neither, missed = SurfaceDistances.of(empty, empty), SurfaceDistances.of(full, empty)
    invented = SurfaceDistances.of(empty, full)
    for figures in (neither,):
        assert all(math.isnan(value) for value in everything(figures))
    for figures in (missed, invented):
        *distances, surface_dice = everything(figures)
        assert distances == [math.inf] * 5
        assert surface_dice == 0


def everything(found: SurfaceDistances) -> list[float]:
    return [
        found.hausdorff_mm,
        found.hausdorff_percentile_mm(),
        found.hausdorff_percentile_mm(of="pooled"),
        found.average_symmetric_mm,
        found.mean_average_mm,
        found.surface_dice(1.0),
    ]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), SPACINGS)
def test_distances_are_those_of_brute_force(seed: int, dimensions: int, spacing: tuple[float, ...]) -> None:
    truth, prediction = random_masks(seed, dimensions)
    found = SurfaceDistances.of(truth, prediction, spacing[:dimensions])
    np.testing.assert_allclose(found.to_truth_mm, brute_force(prediction, truth, spacing[:dimensions]))
    np.testing.assert_allclose(found.to_prediction_mm, brute_force(truth, prediction, spacing[:dimensions]))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.3, 1.0, 4.0)])
def test_far_apart_masks_are_measured_exactly_too(spacing: tuple[float, ...]) -> None:
    truth, prediction = np.zeros((2, 30, 40, 30), bool)
    truth[1:4, 1:4, 1:4], prediction[20:29, 30:39, 5:28] = True, True
    expected = distance_transform_edt(~border(truth), sampling=spacing)[border(prediction)]
    np.testing.assert_allclose(SurfaceDistances.of(truth, prediction, spacing).to_truth_mm, expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), SPACINGS)
def test_the_laws_of_a_distance_hold(seed: int, dimensions: int, spacing: tuple[float, ...]) -> None:
    truth, prediction = random_masks(seed, dimensions)
    spacing = spacing[:dimensions]
    figures = np.array(everything(SurfaceDistances.of(truth, prediction, spacing)))
    same = SurfaceDistances.of(truth, truth, spacing)
    assert not truth.any() or (same.hausdorff_mm, same.surface_dice(0.0)) == (0, 1)
    np.testing.assert_allclose(figures, everything(SurfaceDistances.of(prediction, truth, spacing)))
    flipped = SurfaceDistances.of(np.flip(truth), np.flip(prediction), spacing)
    np.testing.assert_allclose(figures, everything(flipped))
    turned = SurfaceDistances.of(truth.T, prediction.T, spacing[::-1])
    np.testing.assert_allclose(figures, everything(turned))
    doubled = SurfaceDistances.of(truth, prediction, tuple(2 * mm for mm in spacing))
    np.testing.assert_allclose(2 * figures[:-1], everything(doubled)[:-1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_hausdorff_distance_obeys_the_triangle_inequality(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = rng.random((3, 7, 8)) < rng.uniform(0.1, 0.9, (3, 1, 1))
    a[0, 0] = b[3, 3] = c[6, 7] = True
    ab, bc, ac = (SurfaceDistances.of(x, y).hausdorff_mm for x, y in ((a, b), (b, c), (a, c)))
    assert ac <= ab + bc + 1e-12


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    truths, predictions = rng.random((2, 9, 6, 7)) < 0.3
    truths[3], predictions[4], truths[5], predictions[5] = False, False, False, False
    for truth, prediction, found in zip(
        truths, predictions, SurfaceDistances.of_many(truths, predictions, (1.0, 2.0)), strict=True
    ):
        alone = SurfaceDistances.of(truth, prediction, (1.0, 2.0))
        np.testing.assert_array_equal(found.to_truth_mm, alone.to_truth_mm)
        np.testing.assert_array_equal(found.to_prediction_mm, alone.to_prediction_mm)


def test_each_label_is_measured_by_itself() -> None:
    truth = np.zeros((6, 6), int)
    truth[1:3, 1:3], truth[4:, 4:] = 1, 2
    found = surface_distances(truth, np.roll(truth, 1, axis=0), (1, 2, 3))
    assert found[1].hausdorff_mm == 1
    assert math.isnan(found[3].hausdorff_mm)


def test_the_compiled_search_finds_what_the_other_finds() -> None:
    pytest.importorskip("numba", reason="numba is not installed; both searches are then the same one")
    assert _rings.search_with_numba is not None
    rng = np.random.default_rng(0)
    target = np.pad(rng.random(200) < 0.1, 20)
    steps = np.array([0, 1, -1, 2, -2, 3, -3])
    given_ = (target, np.arange(20, 220), steps, np.abs(steps).astype(np.float64))
    np.testing.assert_array_equal(_rings.search_with_numba(*given_), _rings.search_with_numpy(*given_))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.lists(st.sampled_from([0.7, 1.0, 1.1, 3.0]), min_size=4))
def test_a_search_along_columns_finds_to_the_last_bit_what_steps_find(
    seed: int, dimensions: int, sides: list[float]
) -> None:
    """And beyond them, of sides whose squares are exact, twice as far as they reach."""
    rng, spacing = np.random.default_rng(seed), tuple(sides[:dimensions])
    masks = rng.random((2, 2, *rng.integers(1, (99, 40, 20, 8)[dimensions - 1], dimensions))) < rng.uniform(0, 0.02)
    points, target = (Points.of(mask, "mask") for mask in masks)
    reach = REACH.get(dimensions, 2)
    by_steps = _rings.search_with_numpy(target.flat, points.places, *_steps(target.shape[1:], spacing, reach))
    found = search_along_columns(target.flat, target.shape, points.places, spacing, reach)
    near = ~np.isnan(by_steps)
    np.testing.assert_array_equal(found[near], by_steps[near])
    apart = np.concatenate(
        [
            (
                cdist(np.argwhere(one) * spacing, np.argwhere(other) * spacing).min(axis=1)
                if other.any()
                else [np.inf] * one.sum()
            )
            for one, other in zip(*masks, strict=True)
        ]
    )
    farther = apart < ((FARTHER if is_exact(spacing) else 1) * reach + 1) * min(spacing)
    np.testing.assert_array_equal(np.isnan(found), ~farther)
    np.testing.assert_allclose(found[farther], apart[farther])


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, math.nan), (1.0, -1.0)])
def test_a_spacing_that_cannot_be_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="spacing must be 2 numbers"):
        SurfaceDistances.of(square(4, (1, 2), (1, 2)), square(4, (1, 2), (1, 2)), spacing)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ImageError, match="one shape"):
        SurfaceDistances.of(np.ones((3, 4), bool), np.ones((4, 3), bool))


def two_ellipsoids() -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.indices((20, 24, 28))
    truth = ((z - 9) / 6) ** 2 + ((y - 11) / 8) ** 2 + ((x - 13) / 9) ** 2 < 1
    prediction = ((z - 10) / 7) ** 2 + ((y - 12) / 7) ** 2 + ((x - 12) / 10) ** 2 < 1
    prediction[2:4, 2:4, 2:4] = True
    return truth, prediction


def test_figures_are_those_of_monai_medpy_and_simpleitk() -> None:
    """Computed once with MONAI 1.6.1, medpy 0.5.2 (connectivity 1) and SimpleITK 2.5.7."""
    found = SurfaceDistances.of(*two_ellipsoids(), (2.0, 1.0, 0.5))
    assert found.hausdorff_mm == pytest.approx(7.826237921249264, rel=1e-12)
    assert found.hausdorff_percentile_mm() == pytest.approx(4.0)
    assert found.average_symmetric_mm == pytest.approx(1.0148666227429552, rel=1e-12)
    assert found.to_truth_mm.mean() == pytest.approx(1.1737109383343067, rel=1e-12)
    assert found.to_prediction_mm.mean() == pytest.approx(0.8400809421460199, rel=1e-12)
    whole = SurfaceDistances.of(*two_ellipsoids(), (2.0, 1.0, 0.5), outline="mask")
    assert whole.hausdorff_mm == pytest.approx(7.826237921249264, rel=1e-12)
    assert whole.mean_average_mm == pytest.approx(0.2786717384873516, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=30), st.just(0.0) | st.floats(1, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    found = SurfaceDistances(np.array(values), np.array([0.0]))
    expected = max(np.percentile(values, percent), 0.0)
    assert found.hausdorff_percentile_mm(percent) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_masks_without_any_voxel_have_no_surface() -> None:
    nothing = np.zeros((0, 5), bool)
    assert len(surface_distances(nothing, nothing, [1], (1.0, 1.0))[1].to_truth_mm) == 0
