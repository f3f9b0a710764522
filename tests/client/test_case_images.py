"""Measurements of a hospital's images, of a case that is drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from client.case_images import measurements
from common.data.cases import Cases


def test_a_case_is_measured_as_it_was_drawn() -> None:
    image = np.zeros((1, 2, 4, 10), np.float32)
    image[0, 0, 1:3, 2:7] = 5  # a box of 2 by 5 in 4 by 10: a quarter
    image[0, 0, 1, 2] = 9
    outline = np.zeros((1, 4, 10), np.uint8)
    outline[0, 1, 2:5], outline[0, 2, 3] = 1, 2
    found = measurements(Cases.of(image, outline, ["p"], ("no", "a", "b"), spacing_mm=(0.5, 3.0)))
    wanted = {
        "image_side_0": 4,
        "image_side_1": 10,
        "image_spacing_0": 0.5,
        "image_spacing_1": 3,
        "image_channels": 2,
        "image_air": 0,
        "image_filled": 0.25,
        "image_outlined": 0.1,
        "image_smallest": 1,
        "image_low": 5,
        "image_high": 9 - 4 * 0.015,  # of four values the last step of three, 1.5 % of it short
    }
    assert {name: float(found[name][0]) for name in wanted} == pytest.approx(wanted)
    assert found.keys() == wanted.keys()


def test_where_nothing_is_outlined_and_spacing_is_not_known_nothing_is_said_of_them() -> None:
    found = measurements(
        Cases.of(np.ones((2, 1, 3, 3), np.float32), np.zeros((2, 3, 3), np.uint8), ["p", "q"], ("a", "b"))
    )
    for name in ("low", "high", "outlined", "smallest", "spacing_0"):
        assert np.isnan(found[f"image_{name}"]).all()
    assert found["image_filled"].tolist() == [1, 1]
