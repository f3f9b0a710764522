"""Betti numbers, centre lines, boundary IoU and volumes: by hand, by law, and by scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.measure import euler_number
from skimage.morphology import skeletonize

from common.errors import ImageError
from common.metrics.boundary_overlap import band_counts, boundary_iou, boundary_statistics
from common.metrics.centreline import CentreLines
from common.metrics.topology import betti_errors, betti_numbers, euler_characteristic
from common.metrics.volume import Volumes
from common.sums.mean import merge


def frame(dimensions: int) -> np.ndarray:
    """A block of 3 voxels a side without the one in its middle."""
    values = np.ones((3,) * dimensions)
    values[(1,) * dimensions] = 0
    return values


def tunnel() -> np.ndarray:
    values = np.ones((3, 3, 3))
    values[1, 1, :] = 0
    return values


def test_pieces_tunnels_and_cavities_are_counted_by_hand() -> None:
    assert betti_numbers(frame(2)) == (1, 1, 0)
    assert betti_numbers(frame(3)) == (1, 0, 1)
    assert betti_numbers(tunnel()) == (1, 1, 0)
    assert betti_numbers(np.zeros((4, 4, 4))) == (0, 0, 0)
    assert betti_numbers(np.array([1, 0, 1, 1, 0, 1])) == (3, 0, 0)
    assert betti_numbers(np.eye(3)) == (1, 0, 0) and betti_numbers(np.eye(3), "faces") == (3, 0, 0)
    assert betti_errors(frame(3), tunnel()) == (0, 1, 1)
    assert betti_errors(frame(3), np.zeros((3, 3, 3))) == (1, 0, 1)
    with pytest.raises(ImageError, match="1 to 3 axes"):
        betti_numbers(np.ones((2, 2, 2, 2)))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_euler_characteristic_is_scikit_images(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random(tuple(rng.integers(2, 7, dimensions))) < rng.random()
        for words, connectivity in (("faces", 1), ("corners", dimensions)):
            expected = euler_number(mask, connectivity)
            assert euler_characteristic(mask, words) == expected  # type: ignore[arg-type]
            pieces, tunnels, cavities = betti_numbers(mask, words)  # type: ignore[arg-type]
            assert pieces - tunnels + cavities == expected and min(pieces, tunnels, cavities) >= 0


def test_a_vessel_one_pixel_off_keeps_its_centre_line_and_a_shortened_one_does_not() -> None:
    truth = np.zeros((9, 30))
    truth[3:6] = 1
    assert CentreLines.of(truth, np.roll(truth, 1, 0)).cl_dice > 0.98
    shortened = truth.copy()
    shortened[:, 10:] = 0
    found = CentreLines.of(truth, shortened)
    line, own = skeletonize(truth > 0), skeletonize(shortened > 0)
    sensitivity = (line & (shortened > 0)).sum() / line.sum()
    precision = (own & (truth > 0)).sum() / own.sum()
    assert (found.sensitivity, found.precision) == (sensitivity, precision)
    assert found.cl_dice == pytest.approx(2 * sensitivity * precision / (sensitivity + precision))
    assert CentreLines.of(truth[..., None], shortened[..., None]) == found
    volume = np.zeros((9, 9, 20))
    volume[3:6, 3:6] = 1
    assert CentreLines.of(volume, np.roll(volume, 1, 0)).cl_dice > 0.98


def test_centre_lines_of_empty_masks_follow_the_table_and_merge() -> None:
    some, none, block = np.eye(5), np.zeros((5, 5)), np.ones((2, 2, 2))
    assert math.isnan(CentreLines.of(none, none).cl_dice)
    assert CentreLines.of(none, some).cl_dice == CentreLines.of(some, none).cl_dice == 0
    assert math.isnan(CentreLines.of(block, block).cl_dice)
    parts = [CentreLines.of(some, some), CentreLines.of(some, none), CentreLines.of(none, some)]
    together, merged = sum(parts, CentreLines()), merge(part.statistics() for part in parts)
    assert together.sensitivity == 0.5 == merged["topology_sensitivity"].value == merged["topology_precision"].value
    with pytest.raises(ImageError, match="2 or 3 axes"):
        CentreLines.of(np.ones(4), np.ones(4))


def test_the_band_along_a_boundary_is_as_wide_as_was_asked() -> None:
    """A square of 7 against one that lacks its first row: rings of 24 and 22 pixels share 6 + 5 + 5."""
    truth = np.zeros((9, 9))
    truth[1:8, 1:8] = 1
    prediction = truth.copy()
    prediction[1] = 0
    assert band_counts(truth, prediction, None, 1.0) == (17, 24 + 22 - 17)
    assert boundary_iou(truth, prediction) == 17 / 29
    wide = boundary_iou(truth, prediction, (1.0, 1.0), 20.0)
    assert wide == 42 / 49
    assert boundary_iou(truth, prediction, (3.0, 3.0), 6.0) == boundary_iou(truth, prediction, (1.0, 1.0), 2.0)
    assert math.isnan(boundary_iou(truth * 0, truth * 0)) and boundary_iou(truth, truth * 0) == 0
    parts = [boundary_statistics(truth, prediction), boundary_statistics(truth, truth)]
    assert merge(parts)["boundary_iou"].value == pytest.approx((17 + 24) / (29 + 24))
    for bad in ({"width_mm": float("nan")}, {"spacing_mm": (1.0,)}, {"spacing_mm": (1, -1)}):
        with pytest.raises(ImageError, match=r"width_mm|spacing"):
            boundary_iou(truth, prediction, **bad)


def test_volumes_are_in_mm3_and_ml_and_signed() -> None:
    truth, prediction = np.zeros((10, 10, 10)), np.zeros((10, 10, 10))
    truth[:5], prediction[:4] = 1, 1
    found = Volumes.of(truth, prediction, (1.0, 2.0, 2.5))
    assert found == Volumes(2500.0, 2000.0)
    assert (found.error_mm3, found.error_ml, found.relative_error) == (-500.0, -0.5, -0.2)
    assert Volumes.of(truth * 0, prediction).relative_error == math.inf
    assert math.isnan(Volumes.of(truth * 0, truth * 0).relative_error)
    more = Volumes(0.0, 500.0)
    merged = merge([found.statistics(), more.statistics()])
    assert (merged["volume_error_ml"].value, merged["absolute_volume_error_ml"].value) == (0.0, 0.5)
