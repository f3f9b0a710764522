"""Elements of outlines: sizes by hand, by convex hulls, by laws; figures by brute force and by surface-distance."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from common.errors import ImageError
from common.metrics.elements import sizes
from common.metrics.surface import SurfaceDistances

SPACINGS = st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 3.0])] * 3)
CORNERS = list(product((0, 1), repeat=3))
Corner = tuple[int, ...]


def code_of(*corners: Corner) -> int:
    return sum(1 << CORNERS.index(corner) for corner in corners)


def area(*places: np.ndarray) -> float:
    a, b, c = places
    return float(np.linalg.norm(np.cross(b - a, c - a))) / 2


def neighbours(corner: Corner) -> list[Corner]:
    return [tuple(1 - v if i == axis else v for i, v in enumerate(corner)) for axis in range(3)]


def components(corners: set[Corner]) -> list[set[Corner]]:
    left, found = set(corners), []
    while left:
        waiting, together = [left.pop()], set()
        while waiting:
            corner = waiting.pop()
            together.add(corner)
            waiting += [other for other in neighbours(corner) if other in left]
            left -= set(waiting)
        found.append(together)
    return found


def zigzag(corners: set[Corner]) -> list[Corner] | None:
    """Four corners in a row along three different axes, in order."""
    degrees = {corner: sum(other in corners for other in neighbours(corner)) for corner in corners}
    if sorted(degrees.values()) != [1, 1, 2, 2]:
        return None
    row = [next(corner for corner in sorted(corners) if degrees[corner] == 1)]
    while len(row) < 4:
        row.append(next(other for other in neighbours(row[-1]) if other in corners and other not in row))
    return row if sum(abs(a - b) for a, b in zip(row[0], row[3], strict=True)) == 3 else None


def cut_area(corners: set[Corner], spacing: np.ndarray) -> float:
    """What the convex hull of the corners and the middles of their cut edges shows inside the cube."""
    middles = [(np.array(a) + b) / 2 * spacing for a in sorted(corners) for b in neighbours(a) if b not in corners]
    points = np.array([*(np.array(corner) * spacing for corner in sorted(corners)), *middles])
    walls = [(axis, wall) for axis in range(3) for wall in (0.0, spacing[axis])]
    simplices = [points[simplex] for simplex in ConvexHull(points).simplices]
    return sum(
        area(*triangle)
        for triangle in simplices
        if not any((triangle[:, axis] == wall).all() for axis, wall in walls)
    )


def zigzag_area(row: list[Corner], spacing: np.ndarray) -> float:
    """A triangle through every other of six cut edges, and the three that it leaves over. a-b-c-d is the row."""
    a, b, c, d = row

    def cut(corner: Corner, axis_of: tuple[Corner, Corner]) -> np.ndarray:
        step = np.abs(np.subtract(*axis_of)) * (1 - 2 * np.array(corner))
        return (np.array(corner) + step / 2) * spacing

    first, middle, last = (a, b), (b, c), (c, d)
    ring = [cut(a, last), cut(a, middle), cut(c, first), cut(d, first), cut(d, middle), cut(b, last)]
    inner = area(ring[0], ring[2], ring[4])
    return inner + sum(area(ring[i], ring[i + 1], ring[(i + 2) % 6]) for i in (0, 2, 4))


def slow_size(inside: set[Corner], spacing: tuple[float, ...]) -> float:
    fewer = inside if len(inside) <= 4 else set(CORNERS) - inside
    row = zigzag(fewer)
    scale = np.array(spacing)
    return zigzag_area(row, scale) if row else sum(cut_area(part, scale) for part in components(fewer))


def slow_elements(mask: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(mask, 1)
    places, found = [], []
    for start in np.ndindex(*(n - 1 for n in padded.shape)):
        inside = {corner for corner in CORNERS if padded[tuple(np.add(start, corner))]}
        if 0 < len(inside) < 8:
            places.append(np.array(start) * spacing)
            found.append(slow_size(inside, spacing))
    return np.array(places).reshape(-1, 3), np.array(found)


def test_sizes_of_simple_blocks_were_worked_out_by_hand() -> None:
    """Voxels of 2 x 3 x 6: a corner's triangle, an edge's rectangle, a face; a square's corner, side and diagonal."""
    volume = sizes((2.0, 3.0, 6.0))
    assert volume[code_of((0, 0, 0))] == pytest.approx(math.sqrt((3 * 6) ** 2 + (2 * 6) ** 2 + (2 * 3) ** 2) / 8)
    assert volume[code_of((0, 0, 0), (0, 0, 1))] == pytest.approx(math.hypot(2, 3) / 2 * 6)
    assert volume[code_of((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1))] == 3 * 6
    assert volume[0] == volume[255] == 0
    plane = sizes((3.0, 4.0))
    assert plane.tolist() == [0, 2.5, 2.5, 4, 2.5, 3, 5, 2.5, 2.5, 5, 3, 2.5, 4, 2.5, 2.5, 0]


@settings(max_examples=15, deadline=None)
@given(SPACINGS)
def test_the_sizes_of_all_blocks_are_those_that_hulls_show(spacing: tuple[float, ...]) -> None:
    expected = [
        slow_size({corner for bit, corner in enumerate(CORNERS) if code >> bit & 1}, spacing)
        for code in range(1, 255)
    ]
    np.testing.assert_allclose(sizes(spacing)[1:-1], expected, rtol=1e-12)


def test_the_sizes_of_all_blocks_are_surface_distances() -> None:
    """Computed once with create_table_neighbour_code_to_surface_area of surface-distance 0.1.

    Its bits run the other way, from the block's last corner; TOTALS are sums over codes with weights 1 and code.
    """
    table = sizes((2.3, 1.1, 0.57))
    turned = table[[int(f"{code:08b}"[::-1], 2) for code in range(256)]]
    some = [0.36470771687750175, 1.4076231506325052, 2.1882463012650106, 2.8228385403029073, 2.4737699637673938]
    more = [1.0913179975644733, 1.458830867510007, 0.7294154337550035]
    np.testing.assert_allclose(turned[[1, 7, 23, 27, 53, 61, 105, 111]], some + more, rtol=1e-12)
    np.testing.assert_allclose((table.sum(), turned @ np.arange(256)), TOTALS, rtol=1e-12)


TOTALS = (394.07250573224076, 50244.244480860696)


def two_ellipsoids() -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.indices((20, 24, 28))
    truth = ((z - 9) / 6) ** 2 + ((y - 11) / 8) ** 2 + ((x - 13) / 9) ** 2 < 1
    prediction = ((z - 10) / 7) ** 2 + ((y - 12) / 7) ** 2 + ((x - 12) / 10) ** 2 < 1
    prediction[2:4, 2:4, 2:4] = True
    return truth, prediction


def scattered() -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.random.default_rng(3).random((2, 7, 8, 9)) < 0.5
    return truth, prediction


def figures(truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> list[float]:
    found = SurfaceDistances.of(truth, prediction, spacing, "elements")
    assert found.truth_sizes is not None and found.prediction_sizes is not None
    return [
        found.hausdorff_mm,
        found.hausdorff_percentile_mm(),
        found.hausdorff_percentile_mm(50),
        *found.directed_averages_mm,
        *found.surface_overlap(1.0),
        found.surface_dice(1.0),
        found.truth_sizes.sum(),
        found.prediction_sizes.sum(),
    ]


SURFACE_DISTANCE = {
    "ellipsoids": [
        7.826237921249264, 4.0, 0.5, 0.5571522277348467, 0.8563330575998785,
        0.837251556721767, 0.7686186346732322, 0.8009747480010341, 862.5478289434279, 967.0655522206403,
    ],
    "slice of them": [
        2.0615528128088303, 2.0, 0.5, 0.6123950211704902, 0.5161282394808715,
        0.824858310957077, 0.897635219286242, 0.8603516547154554, 41.65247584249853, 39.65247584249853,
    ],
    "scattered voxels": [
        1.2389108119634764, 0.0, 0.0, 0.026612524343275542, 0.018267450873554806,
        0.9928711263552781, 0.9982065120807283, 0.9954730000073407, 854.5574831335391, 813.4043457077637,
    ],
    "scattered pixels": [
        3.1827660925679098, 1.1, 0.0, 0.15195549769247577, 0.215041841625878,
        0.8729352482387798, 0.8583827271005523, 0.86563695684354, 115.08529270389178, 115.78431221748457,
    ],
}  # fmt: skip


def test_figures_are_those_of_surface_distance() -> None:
    """Computed once with surface-distance 0.1 (numpy 2.3.5): robust Hausdorff at 100, 95 and 50 %, both averages,
    both overlaps and surface Dice at 1 mm, and both sums of sizes. It needs an older numpy than this project's.
    """
    truth, prediction = two_ellipsoids()
    first, second = scattered()
    found = {
        "ellipsoids": figures(truth, prediction, (2.0, 1.0, 0.5)),
        "slice of them": figures(truth[9], prediction[9], (1.0, 0.5)),
        "scattered voxels": figures(first, second, (2.3, 1.1, 0.57)),
        "scattered pixels": figures(first[3], second[3], (2.3, 1.1)),
    }
    for name, expected in SURFACE_DISTANCE.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), SPACINGS, st.floats(1, 99))
def test_figures_are_those_of_brute_force(seed: int, spacing: tuple[float, ...], percent: float) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, *rng.integers(2, 5, 3))) < rng.uniform(0.1, 0.9)
    truth.flat[0] = prediction.flat[-1] = True
    (of_truth, large), (of_prediction, small) = slow_elements(truth, spacing), slow_elements(prediction, spacing)
    apart = cdist(of_truth, of_prediction)
    to_prediction, to_truth = apart.min(axis=1), apart.min(axis=0)
    found = SurfaceDistances.of(truth, prediction, spacing, "elements")
    np.testing.assert_allclose(found.to_prediction_mm, to_prediction)
    np.testing.assert_allclose(found.to_truth_mm, to_truth)
    sums = (to_prediction @ large, to_truth @ small)
    np.testing.assert_allclose(found.directed_averages_mm, (sums[0] / large.sum(), sums[1] / small.sum()))
    assert found.average_symmetric_mm == pytest.approx(sum(sums) / (large.sum() + small.sum()))
    assert found.mean_average_mm == pytest.approx((sums[0] / large.sum() + sums[1] / small.sum()) / 2)
    near = large[to_prediction <= 1.0].sum() + small[to_truth <= 1.0].sum()
    assert found.surface_dice(1.0) == pytest.approx(near / (large.sum() + small.sum()))
    at = found.hausdorff_percentile_mm(percent)
    held = [weights[ways <= at + 1e-9].sum() for ways, weights in ((to_prediction, large), (to_truth, small))]
    assert held[0] >= (percent / 100 - 1e-9) * large.sum() and held[1] >= (percent / 100 - 1e-9) * small.sum()
    below = [weights[ways < at - 1e-9].sum() for ways, weights in ((to_prediction, large), (to_truth, small))]
    assert below[0] <= (percent / 100 + 1e-9) * large.sum() or below[1] <= (percent / 100 + 1e-9) * small.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 3), SPACINGS)
def test_the_laws_of_elements_hold(seed: int, dimensions: int, spacing: tuple[float, ...]) -> None:
    """Of truth and prediction swapped, images mirrored and turned, and a mask's complement within a margin."""
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random((2, *rng.integers(2, 7, dimensions))) < 0.5
    truth.flat[0] = prediction.flat[-1] = True
    spacing = spacing[:dimensions]
    found = figures(truth, prediction, spacing)
    np.testing.assert_allclose(figures(np.flip(truth), np.flip(prediction), spacing), found)
    np.testing.assert_allclose(figures(truth.T, prediction.T, spacing[::-1]), found)
    swapped = figures(prediction, truth, spacing)
    np.testing.assert_allclose([swapped[i] for i in (0, 1, 2, 4, 3, 6, 5, 7, 9, 8)], found)
    table = sizes(spacing)
    np.testing.assert_allclose(table, table[::-1])
    doubled = sizes(tuple(2 * mm for mm in spacing))
    np.testing.assert_allclose(doubled, table * 2 ** (dimensions - 1))


def test_many_at_once_are_the_same_as_one_by_one_also_of_elements() -> None:
    truths, predictions = np.random.default_rng(0).random((2, 5, 6, 7)) < 0.4
    truths[3], predictions[4], truths[4] = False, False, False
    together = SurfaceDistances.of_many(truths, predictions, (1.0, 2.0), "elements")
    for truth, prediction, found in zip(truths, predictions, together, strict=True):
        alone = SurfaceDistances.of(truth, prediction, (1.0, 2.0), "elements")
        for name in ("to_truth_mm", "to_prediction_mm", "truth_sizes", "prediction_sizes"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


def test_parts_pooled_count_by_their_sizes() -> None:
    """Two pixels 3 apart, of outline 4 x sqrt(2)/2 each, and two rows of two that agree."""
    truths, predictions = np.zeros((2, 2, 3, 7), bool)
    truths[0, 1, 1], predictions[0, 1, 4] = True, True
    truths[1, 1, 1:3] = predictions[1, 1, 1:3] = True
    pooled = SurfaceDistances.pooled(SurfaceDistances.of_many(truths, predictions, outline="elements"))
    assert pooled.average_symmetric_mm == pytest.approx(2.5 * 8 * math.sqrt(0.5) / (16 * math.sqrt(0.5) + 4))


@pytest.mark.parametrize("outline", ["border", "elements"])
def test_one_sided_figures_of_empty_masks_are_defined(outline: str) -> None:
    empty, full = np.zeros((4, 4), bool), np.pad(np.ones((2, 2), bool), 1)
    neither, missed, invented = (
        SurfaceDistances.of(*pair, outline=outline)  # type: ignore[arg-type]
        for pair in ((empty, empty), (full, empty), (empty, full))
    )
    assert np.isnan([*neither.directed_averages_mm, *neither.surface_overlap(1.0), neither.surface_dice(1.0)]).all()
    assert missed.directed_averages_mm == invented.directed_averages_mm == (math.inf, math.inf)
    assert missed.hausdorff_percentile_mm() == missed.hausdorff_percentile_mm(of="pooled") == math.inf
    np.testing.assert_array_equal(missed.surface_overlap(1.0), (0, math.nan))
    np.testing.assert_array_equal(invented.surface_overlap(1.0), (math.nan, 0))
    assert missed.surface_dice(9.0) == invented.surface_dice(9.0) == 0


def test_elements_of_anything_but_planes_and_volumes_are_refused() -> None:
    with pytest.raises(ImageError, match=r"2 or 3 axes of several voxels; these are \(4,\)"):
        SurfaceDistances.of(np.ones(4, bool), np.ones(4, bool), outline="elements")
