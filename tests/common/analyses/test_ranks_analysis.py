"""Tests by ranks and areas under ROC curves: by hand, pair by pair, and as SciPy says it of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from common.analyses._doubles import HIGHEST, LARGEST, LOWEST, cuts_within, double_of, key_of, shortest_decimal
from common.analyses.auc import Auc
from common.analyses.kruskal_wallis import KruskalWallis
from common.analyses.mann_whitney import MannWhitney
from common.analyses.wilcoxon import Wilcoxon
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.errors import AnalysisError, StudyError
from tests.common.analyses.tables import AWKWARD, LEVELS, NAN, asked, awkward, hospitals, values

TIGHT = 1e-9
rng = np.random.default_rng(3)
GROUP = rng.choice(["a", "b", "c", ""], 60).tolist()
ILL = rng.choice(["0", "1"], 60, p=[0.6, 0.4]).tolist()
few = settings(max_examples=25, deadline=None, derandomize=True)
doubles = st.floats(allow_nan=False, allow_infinity=False)


def apart(x: Any, group: Any, level: str) -> Any:
    return np.asarray(x)[np.asarray(group) == level]


@given(doubles, doubles)
def test_keys_are_in_the_order_of_doubles(one: float, other: float) -> None:
    assert (key_of(one) < key_of(other)) == (one < other) and double_of(key_of(one)) == one
    assert LOWEST < key_of(one) <= HIGHEST and key_of(-0.0) == key_of(0.0)
    assert double_of(key_of(0.1) + 1) == np.nextafter(0.1, 1)


@given(doubles, doubles)
def test_the_shortest_decimal_lies_where_it_was_looked_for(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assume(low < high)
    assert low < shortest_decimal(low, high) <= high
    assert all(key_of(low) < key < key_of(high) for key in cuts_within(key_of(low), key_of(high), 7))


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(61.48, 61.53, 61.5), (0.1 - 1e-12, 0.1 + 1e-12, 0.1), (-3, 8, 0), (-130.2, -99, -100), (999, 1000, 1000)],
)
def test_what_people_write_down_is_tried_first(low: float, high: float, found: float) -> None:
    assert shortest_decimal(low, high) == found


def test_the_range_of_all_doubles_is_parted_too() -> None:
    assert 0.0 in {double_of(key) for key in cuts_within(LOWEST, HIGHEST, 4)}
    assert shortest_decimal(-LARGEST, LARGEST) == 0


def test_mann_whitney_by_hand() -> None:
    found = asked(MannWhitney("x", "ill"), x=[1, 2, 2, 2, 3, NAN], ill=["0", "0", "0", "1", "1", "1"])
    assert found["statistic"] == 1.0 and found["left_out"] == 1
    assert found["superiority"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_test_by_ranks_is_scipys_of_all_rows(name: str) -> None:
    x, more = awkward(name), awkward(name, seed=5)
    found = asked(MannWhitney("x", "ill"), x=x, ill=ILL)
    wanted = stats.mannwhitneyu(apart(x, ILL, "0"), apart(x, ILL, "1"))
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    found = asked(KruskalWallis("x", "group"), x=x, group=GROUP)
    wanted = stats.kruskal(*(apart(x, GROUP, level) for level in "abc"))
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    found = asked(Wilcoxon("x", "y"), x=[*x, NAN], y=[*more, 3.0])
    wanted = stats.wilcoxon(x, more)
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)


@few
@given(st.lists(st.tuples(values, st.sampled_from("01")), min_size=4, max_size=25))
def test_any_rows_give_the_u_and_the_area_of_all_pairs(rows: list[tuple[float, str]]) -> None:
    x, ill = zip(*rows, strict=True)
    healthy, sick = apart(x, ill, "0"), apart(x, ill, "1")
    assume(len(healthy) > 1 and len(sick) > 1)
    wins = np.array([[(one > other) + (one == other) / 2 for other in healthy] for one in sick])
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(sick) + wins.mean(0).var(ddof=1) / len(healthy))
    found = asked(Auc("x", "ill"), x=x, ill=ill)
    assert [found["auc"], found["standard_error"]] == pytest.approx([wins.mean(), error], rel=TIGHT, abs=1e-12)
    assert asked(MannWhitney("x", "ill"), x=x, ill=ill)["statistic"] == pytest.approx((1 - wins).sum())
    area = np.trapezoid(found["curve"]["true_positive_rate"], found["curve"]["false_positive_rate"])
    assert area == pytest.approx(wins.mean())


def test_delongs_interval_by_hand() -> None:
    columns = {"x": [3, 2, 1, 2], "ill": ["1", "1", "0", "0"]}
    found = asked(Auc("x", "ill"), **columns)
    assert found["auc"] == 0.875 and found["standard_error"] == pytest.approx(0.03125**0.5)
    assert found["high"] == 1.0 and found["low"] == pytest.approx(0.875 - 1.959963984540054 * 0.03125**0.5)
    assert asked(Auc("x", "ill", positive="0"), **columns)["auc"] == 0.125
    with pytest.raises(StudyError, match="must be 0 or 1"):
        asked(Auc("x", "ill", positive="2"), **columns)


def test_bins_are_one_round_and_values_of_one_bin_are_tied() -> None:
    x = awkward("decimals")
    tables = hospitals({"x": x, "ill": ILL})
    edges = (50.0, 60.0, 70.0)
    answered = ask_tables(MannWhitney("x", "ill", edges=edges), tables, Public(levels=LEVELS))
    binned = np.searchsorted(edges, x)
    wanted = stats.mannwhitneyu(apart(binned, ILL, "0"), apart(binned, ILL, "1"))
    assert len(answered.rounds) == 2
    assert answered.answer.numbers["p_value"] == pytest.approx(wanted.pvalue, rel=TIGHT)
    with pytest.raises(StudyError, match="must ascend"):
        asked(MannWhitney("x", "ill", edges=(2.0, 1.0)), x=x, ill=ILL)


def test_values_as_people_write_them_are_told_apart_in_a_few_rounds() -> None:
    x = np.round(np.random.default_rng(0).normal(60, 9, 5000), 1)
    tables = hospitals({"x": x, "ill": ["0", "1"] * 2500})
    assert len(ask_tables(MannWhitney("x", "ill"), tables, Public(levels=LEVELS)).rounds) <= 5


@pytest.mark.parametrize("x", [[5, 5, 5, 5], [1e-300, 1e-300, 1e-300, 1e-300]])
def test_where_all_are_alike_there_is_nothing_to_rank(x: list[float]) -> None:
    ill, same = ["0", "0", "1", "1"], x
    assert asked(MannWhitney("x", "ill"), x=x, ill=ill)["p_value"] == 1.0
    with pytest.raises(AnalysisError, match="all values of 'x' are alike"):
        asked(KruskalWallis("x", "ill"), x=x, ill=ill)
    with pytest.raises(AnalysisError, match="none differs"):
        asked(Wilcoxon("x", "y"), x=x, y=same)
    with pytest.raises(AnalysisError, match="0 rows in which 'ill' is '1'"):
        asked(Auc("x", "ill"), x=x, ill=["0"] * 4)
