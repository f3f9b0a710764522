"""Quantiles by rounds of counts: NumPy's of all rows by every method, to the last digits, and intervals by rank."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common.analyses.histogram import Histogram, round_edges
from common.analyses.median import Median
from common.analyses.quantiles import Method, Quantiles, ranks_of_interval
from common.asking.pooled import ask_tables
from common.errors import AnalysisError, StudyError
from tests.common.analyses.tables import AWKWARD, NAN, asked, awkward, hospitals, values

SHARES = (0.0, 0.1, 0.25, 0.5, 0.77, 1.0)


@pytest.mark.parametrize("method", get_args(Method))
def test_quantiles_are_numpys_of_all_rows(method: Any) -> None:
    for name in AWKWARD:
        for n in (1, 2, 9) if name != "decimals" else (60,):
            x = awkward(name, n)
            found = asked(Quantiles("x", SHARES, method), x=[*x, NAN])["quantiles"]
            wanted = np.quantile(x, SHARES, method=method)
            assert [one["value"] for one in found.values()] == pytest.approx(wanted, rel=1e-12), (name, n)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(values, min_size=1, max_size=30), st.floats(0, 1))
def test_of_any_rows_the_median_and_any_quantile_are_exact(x: list[float], share: float) -> None:
    assert asked(Median("x"), x=x)["median"] == pytest.approx(np.median(x), rel=1e-12, abs=0)
    found = asked(Quantiles("x", (share,), "inverted_cdf"), x=x)["quantiles"][f"{share:g}"]
    assert found["value"] in x


@pytest.mark.parametrize("x", [[1e-320, 5e-324, 0.0], [-1e300, 1e300, 3.0], [-0.0, 0.0, -5e-324]])
def test_the_smallest_and_the_largest_doubles_are_found(x: list[float]) -> None:
    assert asked(Median("x"), x=x)["median"] == np.median(x)


def test_the_interval_of_a_median_is_the_tabulated_one_and_covers() -> None:
    assert ranks_of_interval(0.5, 10) == (1, 8)  # the second and the ninth of ten
    assert ranks_of_interval(0.5, 5) == (None, None) and ranks_of_interval(0.0, 99) == (None, None)
    for n in (6, 17, 60, 500):
        for share in (0.1, 0.5, 0.9):
            low, high = ranks_of_interval(share, n)
            covered = stats.binom.cdf(n if high is None else high, n, share)
            covered -= 0 if low is None else stats.binom.cdf(low, n, share)
            assert covered >= 0.95


def test_a_resolution_keeps_values_of_patients_within_it() -> None:
    x = awkward("full", 60)
    asked_of = ask_tables(Median("x", resolution=0.25), hospitals({"x": x}))
    found = asked_of.answer.numbers["median"]
    assert abs(found - np.median(x)) <= 0.25 and found not in x
    cuts = np.unique(np.concatenate([np.asarray(query.tells.get("cuts", ())) for query, _ in asked_of.rounds]))
    middle = cuts[(cuts > found - 0.5) & (cuts < found + 0.5)]
    assert len(asked_of.rounds) < len(ask_tables(Median("x"), hospitals({"x": x})).rounds) and len(middle) > 1


def test_all_quantiles_share_their_rounds() -> None:
    tables = hospitals({"x": awkward("decimals", 600)})
    rounds = [len(ask_tables(Quantiles("x", at), tables).rounds) for at in ((0.5,), tuple(np.linspace(0, 1, 11)))]
    assert rounds[1] <= rounds[0] + 2 <= 8


def test_what_is_no_share_and_who_is_nobody_are_refused() -> None:
    with pytest.raises(StudyError, match="shares from 0 to 1"):
        Quantiles("x", (50.0,))
    with pytest.raises(AnalysisError, match="no value at any hospital"):
        asked(Median("x"), x=[NAN, NAN, NAN])


@pytest.mark.parametrize("name", AWKWARD)
def test_a_histogram_is_numpys_of_all_rows(name: str) -> None:
    x = awkward(name)
    low, high = float(x.min()), float(x.max())
    found = asked(Histogram("x", low=low, high=high, bins=7), x=[*x, NAN])
    counts, edges = np.histogram(x, 7)
    assert found["counts"] == counts.tolist() and found["edges"] == pytest.approx(edges) and found["missing"] == 1
    laid = asked(Histogram("x"), x=x)
    assert sum(laid["counts"]) + laid["below"] + laid["above"] == 60 and sum(laid["counts"]) >= 58
    assert np.histogram(x, laid["edges"])[0].tolist() == laid["counts"]


def test_edges_that_nobody_gave_are_round() -> None:
    assert round_edges(31.2, 88.7, 6).tolist() == [30, 40, 50, 60, 70, 80, 90]
    assert round_edges(0.013, 0.021, 4) == pytest.approx([0.012, 0.014, 0.016, 0.018, 0.02, 0.022])
    assert round_edges(5, 5, 4).tolist() == [4.5, 5.5]
    assert round_edges(1e9, 1e9 + 1e-7, 4).tolist() == [1e9, 1e9 + 1e-7]


@pytest.mark.parametrize("given_edges", [(1.0,), (2.0, 1.0), (1.0, float("nan"))])
def test_edges_that_are_none_are_refused(given_edges: tuple[float, ...]) -> None:
    with pytest.raises(StudyError):
        Histogram("x", given_edges)
    with pytest.raises(StudyError, match="together"):
        Histogram("x", low=1.0)
    with pytest.raises(StudyError, match="below"):
        Histogram("x", low=1.0, high=0.0)
