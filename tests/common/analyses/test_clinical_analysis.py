"""What clinicians ask of tables and readings: accuracy, agreement, strata, limits, first tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable, mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

from common.analyses.agreement import Agreement
from common.analyses.baseline import Baseline, standardised
from common.analyses.bland_altman import BlandAltman
from common.analyses.diagnostics import Diagnostics
from common.analyses.kolmogorov_smirnov import KolmogorovSmirnov
from common.analyses.levene import Levene
from common.analyses.mantel_haenszel import MantelHaenszel
from common.analyses.mcnemar import McNemar
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.errors import AnalysisError, StudyError
from tests.common.analyses.tables import AWKWARD, LEVELS, NAN, asked, awkward, hospitals

TIGHT = 1e-9
rng = np.random.default_rng(4)
ILL = rng.choice(["0", "1"], 60).tolist()
GROUP = rng.choice(["a", "b", "c", ""], 60).tolist()
TEST = ["test=0|1"]


def apart(x: Any, group: Any, level: str) -> Any:
    return np.asarray(x)[np.asarray(group) == level]


def pairs(table: list[list[int]], first: str, second: str) -> dict[str, list[str]]:
    rows = [(str(a), str(b)) for a, row in enumerate(table) for b, n in enumerate(row) for _ in range(n)]
    return {first: [a for a, _ in rows] + [""], second: [b for _, b in rows] + ["1"]}


def test_accuracy_by_hand() -> None:
    found = asked(Diagnostics("test", "ill", ("test=0|1",)), **pairs([[80, 5], [20, 45]], "test", "ill"))
    assert found["sensitivity"]["value"] == 0.9 and found["specificity"]["value"] == 0.8 and found["left_out"] == 1
    assert found["positive_predictive_value"]["value"] == pytest.approx(45 / 65)
    assert found["positive_likelihood_ratio"]["value"] == pytest.approx(4.5)
    assert found["negative_likelihood_ratio"]["value"] == pytest.approx(0.125)
    low, high = (
        4.5 * np.exp(side * 1.959963984540054 * np.sqrt(1 / 45 - 1 / 50 + 1 / 20 - 1 / 100)) for side in (-1, 1)
    )
    assert [found["positive_likelihood_ratio"][key] for key in ("low", "high")] == pytest.approx([low, high])
    with pytest.raises(AnalysisError, match="known of nobody"):
        asked(Diagnostics("test", "ill", ("test=0|1",)), test=["0"], ill=["1"])


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_is_statsmodels(weights: Any) -> None:
    table = [[20, 5, 1], [4, 15, 6], [0, 3, 9]]
    levels = ("one=0|1|2", "two=0|1|2")
    found = asked(Agreement("one", "two", levels, weights), **pairs(table, "one", "two"))
    wanted = cohens_kappa(table, wt=None if weights == "none" else weights)
    assert found["kappa"] == pytest.approx(wanted.kappa, rel=TIGHT)
    assert found["standard_error"] == pytest.approx(wanted.std_kappa, rel=TIGHT)
    with pytest.raises(StudyError, match="use the same ones"):
        asked(Agreement("one", "two", ("one=0|1", "two=0|1|2")), **pairs(table, "one", "two"))


@pytest.mark.parametrize("table", [[[30, 12], [4, 20]], [[5, 0], [0, 5]], [[9, 1], [9, 2]]])
def test_mcnemars_test_is_statsmodels(table: list[list[int]]) -> None:
    found = asked(McNemar("ill", "again", ("again=0|1",)), **pairs(table, "ill", "again"))
    assert found["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue, rel=TIGHT)
    assert found["low"] <= found["difference"] <= found["high"] or found["difference"] == 0


def test_odds_within_strata_are_statsmodels_and_simpsons_paradox_is_not_fallen_for() -> None:
    tables = {"a": [[81, 6], [234, 36]], "b": [[192, 71], [55, 25]], "c": [[0, 0], [0, 0]]}
    rows = [
        (level, str(a), str(b))
        for level, table in tables.items()
        for a in (0, 1)
        for b in (0, 1)
        for _ in range(table[a][b])
    ]
    group, treated, ill = (list(one) for one in zip(*rows, strict=True))
    found = asked(MantelHaenszel("treated", "ill", "group", ("treated=0|1",)), group=group, treated=treated, ill=ill)
    wanted = StratifiedTable([np.array(tables[level]) for level in "ab"])
    low, high = wanted.oddsratio_pooled_confint()
    assert [found[key] for key in ("odds_ratio", "low", "high")] == pytest.approx(
        [wanted.oddsratio_pooled, low, high], rel=TIGHT
    )
    tested = wanted.test_null_odds(correction=False)
    assert [found["statistic"], found["p_value"]] == pytest.approx([tested.statistic, tested.pvalue], rel=TIGHT)
    assert found["odds_ratio"] > 1 > found["crude_odds_ratio"]


@pytest.mark.parametrize("name", AWKWARD)
def test_distributions_and_variances_are_compared_as_scipy_does(name: str) -> None:
    x = awkward(name)
    found = asked(KolmogorovSmirnov("x", "ill"), x=x, ill=ILL)
    wanted = stats.ks_2samp(apart(x, ILL, "0"), apart(x, ILL, "1"))
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    for centre in ("median", "mean"):
        found = asked(Levene("x", "group", centre=centre), x=x, group=GROUP)
        wanted = stats.levene(*(apart(x, GROUP, level) for level in "abc"), center=centre)
        tolerance = 1e-6 if name == "offset" else TIGHT  # SciPy's mean of what is far from zero is rounded
        assert [found["statistic"], found["p_value"]] == pytest.approx(
            [wanted.statistic, wanted.pvalue], rel=tolerance
        )


def test_limits_of_agreement_by_hand() -> None:
    found = asked(BlandAltman("x", "y"), x=[1, 3, 5, 7, NAN], y=[0, 3, 3, 6, 1])
    bias, deviation, z = 1.0, np.std([1, 0, 2, 1], ddof=1), 1.959963984540054
    assert found["bias"]["value"] == bias and found["left_out"] == 1
    assert found["upper_limit"]["value"] == pytest.approx(bias + z * deviation)
    half = stats.t.ppf(0.975, 3) * deviation * np.sqrt(1 / 4 + z**2 / 6)
    assert found["lower_limit"]["low"] == pytest.approx(bias - z * deviation - half)


def test_a_first_table_shows_columns_of_both_kinds_in_groups_side_by_side() -> None:
    x = [1, 2, 3, 4, 10, 20, 30, NAN]
    tables = hospitals({"x": x, "sex": ["f", "f", "m", "m", "f", "m", "m", ""], "ill": ["0"] * 4 + ["1"] * 4})
    asked_of = ask_tables(Baseline(("x", "sex"), "ill"), tables, Public(levels=LEVELS))
    numbers, (table,) = asked_of.answer.numbers["columns"], asked_of.answer.tables
    assert table.header == ("", "", "all", "0", "1", "standardised difference")
    assert numbers["x"]["groups"]["1"]["median"] == 20 and numbers["x"]["groups"]["1"]["missing"] == 1
    assert numbers["x"]["standardised_difference"] == pytest.approx(17.5 / np.sqrt((5 / 3 + 100) / 2))
    assert numbers["sex"]["standardised_difference"] == pytest.approx((1 / 6) / np.sqrt((1 / 4 + 2 / 9) / 2))
    shown = {row[:2]: row[2:] for row in table.rows}
    assert shown["x", "mean (sd)"][1] == "2.5 (1.291)" and shown["x", "median [quartiles]"][2] == "20 [15, 25]"
    assert shown["sex", "f"][:3] == ("3 (42.9 %)", "2 (50.0 %)", "1 (33.3 %)") and shown["sex", "missing"][2] == 1


def test_a_first_table_of_hospitals_has_gaps_where_nothing_is_known() -> None:
    tables = hospitals({"x": [1, NAN, 3, 4, NAN, 6, 7], "sex": ["f"] * 7})
    public = Public(("north", "south", "west"), LEVELS)
    answer = ask_tables(Baseline(("x", "sex"), "site"), tables, public).answer
    assert answer.numbers["columns"]["x"]["groups"]["south"] is None
    assert answer.numbers["columns"]["sex"]["groups"]["south"]["levels"]["f"]["share"] == 1
    with pytest.raises(StudyError, match="different ones"):
        Baseline(("x", "x"))


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ([0.5, 0.5], [0.25, 0.75], 0.25 / np.sqrt((0.25 + 0.1875) / 2)),
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5], 0.0),
        ([1.0, 0.0], [0.0, 1.0], None),
    ],
)
def test_standardised_differences_of_shares(first: list[float], second: list[float], found: float | None) -> None:
    assert standardised(first, second) == (None if found is None else pytest.approx(found))
