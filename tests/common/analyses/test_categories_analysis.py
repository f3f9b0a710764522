"""Shares, rates, tables, chi-squared and the quality of data: by hand, and as SciPy and statsmodels say it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from common.analyses.chi_squared import ChiSquared
from common.analyses.count import Count
from common.analyses.cross_table import CrossTable
from common.analyses.data_quality import DataQuality
from common.analyses.proportion import Proportion
from common.analyses.rate import Rate
from common.errors import AnalysisError, StudyError
from tests.common.analyses.tables import NAN, asked

TIGHT = 1e-9


def rows_of(table: list[list[int]]) -> dict[str, list[str]]:
    """Rows with so many of every pair of levels, and two of which one column is not known."""
    pairs = [
        (sex, ill)
        for sex, row in zip("fm", table, strict=True)
        for ill, n in zip("01", row, strict=True)
        for _ in range(n)
    ]
    sexes, ills = zip(*pairs, ("", "1"), ("f", "unheard of"), strict=True)
    return {"sex": list(sexes), "ill": list(ills)}


@pytest.mark.parametrize(("sick", "n"), [(0, 5), (3, 17), (40, 40), (1, 500)])
def test_shares_have_wilsons_and_clopper_pearsons_intervals(sick: int, n: int) -> None:
    found = asked(Proportion("ill"), ill=["1"] * sick + ["0"] * (n - sick) + ["", "9"])
    assert found["n"] == n and found["missing"] == 2
    one = found["levels"]["1"]
    assert one["share"] == sick / n
    assert [one["low"], one["high"]] == pytest.approx(
        proportion_confint(sick, n, method="wilson"), rel=TIGHT, abs=1e-15
    )
    exact = proportion_confint(sick, n, method="beta")
    assert [one["exact_low"], one["exact_high"]] == pytest.approx(exact, rel=TIGHT)


def test_a_column_of_numbers_is_one_of_categories_where_its_levels_are_named() -> None:
    found = asked(Proportion("stage", ("stage=1|2|3",)), stage=[1, 2, 2, NAN, 4])
    assert {level: one["n"] for level, one in found["levels"].items()} == {"1": 1, "2": 2, "3": 0}


def test_a_rate_has_garwoods_interval() -> None:
    found = asked(
        Rate("died", "years", per=100), died=[1.0] * 10 + [0.0] * 90 + [NAN, 1, 0.5], years=[1.0] * 101 + [-1, 1]
    )
    assert found["rate"] == 10 and found["left_out"] == 3
    assert [found["low"], found["high"]] == pytest.approx([4.795389, 18.390356], rel=1e-6)
    nobody = asked(Rate("died", "years"), died=[0.0, 0], years=[2.0, 3])
    assert nobody["low"] == 0 and nobody["high"] == pytest.approx(-np.log(0.025) / 5)
    with pytest.raises(AnalysisError, match="nobody was at risk"):
        asked(Rate("died", "years"), died=[1.0], years=[0.0])


@pytest.mark.parametrize("table", [[[10, 20], [20, 10]], [[1, 9], [11, 3]], [[300, 2], [280, 11]]])
def test_a_table_of_two_by_two_is_tested_and_measured(table: list[list[int]]) -> None:
    found, held = asked(ChiSquared("sex", "ill"), **rows_of(table)), np.array(table)
    assert found["counts"] == table and found["left_out"] == 2
    wanted = stats.chi2_contingency(held)
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    assert found["fisher_p_value"] == pytest.approx(stats.fisher_exact(held).pvalue, rel=TIGHT)
    other = Table2x2(held[::-1, ::-1])  # of the second column in the second row against the first
    for name, value, limits in (
        ("odds_ratio", other.oddsratio, other.oddsratio_confint()),
        ("risk_ratio", other.riskratio, other.riskratio_confint()),
    ):
        assert list(found[name].values()) == pytest.approx([value, *limits], rel=TIGHT)
    (a, b), (c, d) = table
    limits = confint_proportions_2indep(d, c + d, b, a + b, method="newcomb")
    assert list(found["risk_difference"].values()) == pytest.approx([d / (c + d) - b / (a + b), *limits], rel=TIGHT)


def test_chi_squared_by_hand_without_and_with_yates() -> None:
    columns = rows_of([[10, 20], [20, 10]])
    assert asked(ChiSquared("sex", "ill", correction=False), **columns)["statistic"] == pytest.approx(20 / 3)
    assert asked(ChiSquared("sex", "ill"), **columns)["statistic"] == pytest.approx(5.4)
    assert asked(ChiSquared("sex", "ill"), **columns)["odds_ratio"]["value"] == 0.25


def test_levels_of_nobody_are_no_part_of_a_test_and_empty_cells_have_no_ratio() -> None:
    columns: dict[str, Any] = {
        "group": ["a"] * 5 + ["c"] * 5,
        "ill": ["0", "0", "1", "1", "1", "0", "0", "0", "0", "0"],
    }
    found = asked(ChiSquared("group", "ill"), **columns)
    assert found["degrees_of_freedom"] == 1 and found["counts"][1] == [0, 0]
    both = asked(ChiSquared("sex", "ill"), sex=["f"] * 3 + ["m"] * 3, ill=["0", "0", "1", "0", "0", "0"])
    assert both["odds_ratio"]["value"] is None and both["risk_difference"]["value"] == pytest.approx(-1 / 3)
    with pytest.raises(AnalysisError, match="has one level"):
        asked(ChiSquared("sex", "ill"), sex=["f", "f"], ill=["0", "1"])


def test_a_cross_table_counts_pairs_and_hospitals_too() -> None:
    columns: dict[str, Any] = {"sex": ["f", "f", "m", "m", "f", ""], "ill": ["1", "1", "1", "0", "0", "0"]}
    assert asked(CrossTable("sex", "ill"), **columns)["counts"] == [[1, 2], [1, 1]]
    by_site = asked(CrossTable("site", "ill"), **columns)
    assert by_site["rows"] == ["north", "south", "west"] and by_site["counts"] == [[1, 1], [1, 1], [1, 1]]
    with pytest.raises(AnalysisError, match="none of their levels"):
        asked(CrossTable("sex", "ill"), sex=[""], ill=["1"])


def test_rows_persons_and_complete_rows_are_counted() -> None:
    assert asked(Count(("x", "sex")), x=[1, NAN, 3], sex=["f", "m", ""]) == {"rows": 3, "persons": 3, "complete": 1}


def test_the_quality_of_data_says_what_is_missing_impossible_and_undeclared() -> None:
    question = DataQuality(("age", "sex"), ("age=0:110",))
    found = asked(question, age=[50, NAN, -1, 999, 70], sex=["f", "m", "", "male", "f"])
    age, sex = found["columns"]["age"], found["columns"]["sex"]
    assert (age["missing"], age["below"], age["above"], age["numbers"]) == (1, 1, 1, 4)
    assert (sex["missing"], sex["undeclared"], sex["words"]) == (1, 1, 4) and sex["levels"] == {"f": 2, "m": 1}
    assert found["rows"] == 5 and found["complete"] == 3 and found["rows_beyond_one_a_person"] == 0


@pytest.mark.parametrize("wrong", ["age", "age=", "age=5", "age=9:1", "=1:2", "age=a:b"])
def test_a_range_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(StudyError, match="a range is written as age=0:110"):
        DataQuality(("age",), (wrong,))


@pytest.mark.parametrize("wrong", ["sex", "sex=", "sex=f|f", "=f|m", "sex=f||m"])
def test_levels_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(StudyError, match=r"levels are written as sex=female\|male"):
        asked(Proportion("sex", (wrong,)), sex=["f"])
