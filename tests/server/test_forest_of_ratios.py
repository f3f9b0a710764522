import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.reporting.charts.forest import Estimate, forest_of_ratios

RATIOS = st.floats(0, 1e308)


def dots(drawn: str) -> list[float]:
    return [float(place) for place in re.findall(r'<circle[^>]*cx="([\d.]+)%"', drawn)]


def test_half_and_twice_are_as_far_from_one() -> None:
    drawn = str(
        forest_of_ratios(
            [Estimate(name, value, None, None) for name, value in zip("abc", (0.5, 1, 2), strict=True)], str
        )
    )
    half, one, twice = dots(drawn)
    assert one - half == pytest.approx(twice - one, abs=0.02)
    assert all(f">{mark}</text>" in drawn for mark in ("0.5", "1", "2"))


@given(st.lists(st.tuples(RATIOS, RATIOS, RATIOS), min_size=1, max_size=5))
def test_whatever_the_ratios_are_they_are_within_the_picture(rows: list[tuple[float, float, float]]) -> None:
    estimates = [Estimate("x", middle, low, high) for low, middle, high in map(sorted, rows)]
    drawn = str(forest_of_ratios(estimates, str))
    assert all(0 <= place <= 100 for place in dots(drawn))
    marks = re.findall(r'<text x="([\d.]+)%"', drawn)
    assert 1 <= len(marks) <= 6
