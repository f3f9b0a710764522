"""`from common.metrics import dice`: arrays in, a number out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import ImageError
from common.metrics import assd, dice, hausdorff, jaccard, surface_dice

TRUTH = np.zeros((6, 6), np.uint8)
TRUTH[1:4, 1:4] = 2
PREDICTION = np.zeros((6, 6))
PREDICTION[1:4, 2:5] = 0.5


def test_figures_of_two_squares_one_voxel_apart_are_those_counted_by_hand() -> None:
    assert dice(PREDICTION, TRUTH) == 2 * 6 / 18
    assert jaccard(PREDICTION, TRUTH) == 6 / 12
    assert hausdorff(PREDICTION, TRUTH) == 1
    assert hausdorff(PREDICTION, TRUTH, spacing_mm=(1, 3)) == 3
    assert hausdorff(PREDICTION, TRUTH, 3, percent=100) == 3
    assert (
        hausdorff(PREDICTION, TRUTH, percent=50) == 0.5
    )  # four of eight voxels lie on the other's border, four one beside it
    assert assd(PREDICTION, TRUTH) == 8 / 16
    assert surface_dice(PREDICTION, TRUTH, tolerance_mm=0.5) == 8 / 16


def test_what_is_not_defined_is_nan_and_what_was_missed_is_infinite() -> None:
    nothing = np.zeros((6, 6), np.bool_)
    assert math.isnan(dice(nothing, nothing))
    assert math.isnan(hausdorff(nothing, nothing))
    assert dice(nothing, TRUTH) == jaccard(TRUTH, nothing) == surface_dice(nothing, TRUTH, 1) == 0
    assert hausdorff(nothing, TRUTH) == assd(TRUTH, nothing) == math.inf


@pytest.mark.parametrize(
    ("given", "words"),
    [((np.ones((2, 3)), np.ones((3, 2))), "one shape"), ((np.full((2, 2), np.nan), np.ones((2, 2))), "NaN")],
)
def test_what_does_not_fit_is_refused_by_name(given: tuple[np.ndarray, np.ndarray], words: str) -> None:
    for figure in (dice, jaccard, hausdorff, assd):
        with pytest.raises(ImageError, match=words):
            figure(*given)


@pytest.mark.parametrize("spacing", ["1", (1,), -1, 0, math.nan, ((1, 1), (1, 1))])
def test_a_spacing_that_is_none_is_refused(spacing: object) -> None:
    with pytest.raises(ImageError, match="spacing"):
        hausdorff(PREDICTION, TRUTH, spacing)  # type: ignore[arg-type]
