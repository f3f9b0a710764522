"""HD95 as a statistic."""

from __future__ import annotations

import numpy as np
import pytest

from common.metrics.merged import surface_statistics


def test_slices_are_taken_together_and_what_one_lacks_is_counted_apart() -> None:
    truths, predictions = np.zeros((4, 5, 5), int), np.zeros((4, 5, 5), int)
    truths[0, 2, 0], predictions[0, 2, 3] = 1, 1
    truths[1, 1, 1], predictions[1, 1, 1] = 1, 1
    truths[2, 0, 0] = 1
    found = surface_statistics(truths, predictions, [1, 2], (1.0, 2.0))
    assert found["hd95"].value == pytest.approx(np.percentile([6.0, 0.0], 95))
    assert found["missed"].value == pytest.approx(1 / 3)


def test_a_structure_that_nobody_drew_weighs_nothing_and_one_that_is_missed_is_not_lost() -> None:
    empty, full = np.zeros((1, 4, 4), int), np.ones((1, 4, 4), int)
    neither, missed = surface_statistics(empty, empty, [1], ()), surface_statistics(full, empty, [1], ())
    assert neither["hd95_voxels"].weight_units == neither["missed"].weight_units == 0
    assert missed["hd95_voxels"].weight_units == 0
    assert missed["missed"].value == 1
