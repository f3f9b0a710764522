from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from common.data.skew import label_divergence, size_gini

sizes = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 1000), min_size=1, max_size=8)


def test_two_hospitals_of_one_label_each_by_hand() -> None:
    """Each is (1, 0) against (1/2, 1/2): JS = (log2(4/3) + 1/2 log2(2/3) + 1/2 log2 2) / 2."""
    expected = (log2(4 / 3) + 0.5 * log2(2 / 3) + 0.5 * log2(2)) / 2
    found = label_divergence({"a": {"x": 5, "y": 0}, "b": {"x": 0, "y": 5}})
    assert found == pytest.approx(expected)


def test_the_same_mix_everywhere_is_zero() -> None:
    assert label_divergence({"a": {"x": 1, "y": 3}, "b": {"x": 20, "y": 60}}) == pytest.approx(0, abs=1e-12)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_scipy_finds_the_same(rows: list[tuple[int, int, int]]) -> None:
    pooled = np.sum(rows, axis=0)
    expected = np.mean([jensenshannon(row, pooled, base=2) ** 2 for row in rows])
    found = label_divergence({str(i): dict(zip("xyz", row, strict=True)) for i, row in enumerate(rows)})
    assert found == pytest.approx(np.nan_to_num(expected), abs=1e-7)
    assert 0 <= found <= 1


def test_gini_by_hand() -> None:
    assert size_gini({"a": 1, "b": 3}) == pytest.approx(0.25)
    assert size_gini({"a": 0, "b": 0, "c": 0, "d": 8}) == pytest.approx(0.75)
    assert size_gini({"a": 7, "b": 7}) == 0


@given(sizes)
def test_gini_is_the_mean_difference_over_twice_the_mean(of: dict[str, int]) -> None:
    values = np.array(list(of.values()), dtype=float)
    mean = values.mean()
    expected = np.abs(values[:, None] - values[None]).mean() / (2 * mean) if mean else 0.0
    assert size_gini(of) == pytest.approx(expected, abs=1e-12)
