"""Variance, t tests, analysis of variance and Pearson's correlation: by hand, and as SciPy and statsmodels say it."""

from __future__ import annotations

from statistics import mean, variance
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from common.analyses.anova import Anova
from common.analyses.correlation import Correlation
from common.analyses.mean import Mean
from common.analyses.paired_ttest import PairedTTest
from common.analyses.ttest import TTest
from common.analyses.variance import Variance
from common.asking.analysis import Analysis
from common.errors import AnalysisError, StudyError
from tests.common.analyses.tables import AWKWARD, NAN, asked, awkward

TIGHT = 1e-9
rng = np.random.default_rng(1)
GROUP = rng.choice(["a", "b", "c", "", "other"], 60, p=[0.3, 0.3, 0.3, 0.05, 0.05]).tolist()
ILL = rng.choice(["0", "1"], 60).tolist()


def apart(x: Any, group: Any, level: str) -> Any:
    return np.asarray(x)[np.asarray(group) == level]


def moved(name: str, x: Any) -> Any:
    """Without what is added to all values, in which the doubles of a second library would lose digits."""
    return x - 1e9 if name == "offset" else x


def test_welchs_test_by_hand() -> None:
    found = asked(TTest("x", "ill"), x=[1, 2, 3, 2, 4, 6, NAN], ill=["0", "0", "0", "1", "1", "1", "1"])
    assert found["difference"] == -2 and found["left_out"] == 1 and found["n"] == {"0": 3, "1": 3}
    assert found["statistic"] == pytest.approx(-2 / (5 / 3) ** 0.5, rel=TIGHT)
    assert found["degrees_of_freedom"] == pytest.approx(50 / 17, rel=TIGHT)


def test_an_analysis_of_variance_of_two_groups_is_the_square_of_students_test() -> None:
    columns = {"x": [1, 2, 3, 2, 4, 6], "ill": ["0", "0", "0", "1", "1", "1"]}
    assert asked(Anova("x", "ill"), **columns)["statistic"] == pytest.approx(2.4, rel=TIGHT)
    found = asked(TTest("x", "ill", equal_variances=True), **columns)
    assert found["statistic"] == pytest.approx(-(2.4**0.5), rel=TIGHT)


@pytest.mark.parametrize("name", AWKWARD)
def test_means_and_variances_are_those_of_all_rows(name: str) -> None:
    x = awkward(name)
    of_mean, spread = asked(Mean("x"), x=[*x, NAN]), asked(Variance("x"), x=[*x, NAN])
    assert of_mean["mean"] == pytest.approx(mean(x.tolist()), rel=TIGHT) and of_mean["missing"] == 1
    assert of_mean["variance"] == spread["variance"] == pytest.approx(variance(x.tolist()), rel=TIGHT)
    tails = stats.chi2.ppf([0.975, 0.025], 59)
    assert [spread["low"], spread["high"]] == pytest.approx(59 * variance(x.tolist()) / tails, rel=TIGHT)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("equal", [False, True])
def test_a_t_test_is_scipys_of_all_rows(name: str, equal: bool) -> None:
    x = awkward(name)
    found = asked(TTest("x", "ill", equal_variances=equal), x=x, ill=ILL)
    wanted = stats.ttest_ind(*(apart(moved(name, x), ILL, level) for level in ("0", "1")), equal_var=equal)
    limits = wanted.confidence_interval()
    assert [found[key] for key in ("statistic", "p_value", "degrees_of_freedom", "low", "high")] == pytest.approx(
        [wanted.statistic, wanted.pvalue, wanted.df, limits.low, limits.high], rel=TIGHT
    )


@pytest.mark.parametrize("name", AWKWARD)
def test_a_paired_t_test_is_scipys_of_all_pairs(name: str) -> None:
    x, more = awkward(name), awkward(name, seed=2)
    found = asked(PairedTTest("x", "y"), x=[*x, NAN], y=[*more, 1.0])
    wanted = stats.ttest_rel(moved(name, x), moved(name, more))
    limits = wanted.confidence_interval()
    assert [found[key] for key in ("statistic", "p_value", "low", "high")] == pytest.approx(
        [wanted.statistic, wanted.pvalue, limits.low, limits.high], rel=TIGHT
    )
    assert found["n"] == 60 and found["left_out"] == 1


@pytest.mark.parametrize("name", AWKWARD)
def test_an_analysis_of_variance_is_scipys_and_welchs_is_statsmodels(name: str) -> None:
    x = awkward(name)
    groups = [apart(moved(name, x), GROUP, level) for level in "abc"]
    found, wanted = asked(Anova("x", "group"), x=x, group=GROUP), stats.f_oneway(*groups)
    assert [found["statistic"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    found = asked(Anova("x", "group", equal_variances=False), x=x, group=GROUP)
    scale = 1e12 if name == "minute" else 1.0  # statsmodels takes a small variance for none
    welch = anova_oneway([scale * one for one in groups], use_var="unequal")
    assert [found["statistic"], found["p_value"]] == pytest.approx([welch.statistic, welch.pvalue], rel=TIGHT)
    assert found["left_out"] == sum(one not in "abc" or not one for one in GROUP)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_a_correlation_is_scipys_of_all_rows(name: str, method: Any) -> None:
    x = awkward(name)
    y = moved(name, x) + np.round(np.std(x) * rng.normal(size=60), 15)
    found = asked(Correlation(("x", "y"), method), x=[*x, NAN], y=[*y, 1.0])
    wanted = (stats.pearsonr if method == "pearson" else stats.spearmanr)(moved(name, x), y)
    assert [found["correlation"], found["p_value"]] == pytest.approx([wanted.statistic, wanted.pvalue], rel=TIGHT)
    if method == "pearson":
        limits = wanted.confidence_interval()
        assert [found["low"], found["high"]] == pytest.approx([limits.low, limits.high], rel=TIGHT)


def test_a_correlation_by_hand_and_of_several_columns() -> None:
    assert asked(Correlation(("x", "y")), x=[1, 2, 3], y=[1, 3, 2])["correlation"] == 0.5
    found = asked(Correlation(("x", "y", "z")), x=[1, 2, 3, 9], y=[2, 4, 6, 18], z=[3, 1, 2, 0])
    assert found["matrix"][0][1] == 1.0 and found["pairs"][0]["p_value"] == 0 and found["pairs"][0]["low"] is None
    assert np.allclose(found["matrix"], np.corrcoef([[1, 2, 3, 9], [2, 4, 6, 18], [3, 1, 2, 0]]), rtol=TIGHT)


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        (TTest("x", "ill"), "'x' is known of 1 rows in which 'ill' is '1'; at least 2"),
        (Variance("one"), "known of 1 rows"),
        (TTest("same", "sex"), "nothing to test"),
        (Anova("same", "sex"), "does not vary within any group"),
        (PairedTTest("same", "same_too"), "differ by the same"),
        (Correlation(("x", "same")), "'same' does not vary"),
        (Anova("x", "group"), "is known of 0 rows in which 'group' is 'b'"),
    ],
)
def test_what_has_no_answer_is_said_in_words(analysis: Analysis, words: str) -> None:
    columns: dict[str, Any] = {
        "x": [1, 2, 3, 4],
        "one": [1, NAN, NAN, NAN],
        "same": [5, 5, 5, 5],
        "same_too": [4, 4, 4, 4],
        "ill": ["0", "0", "0", "1"],
        "sex": ["f", "f", "m", "m"],
        "group": ["a", "a", "a", ""],
    }
    with pytest.raises(AnalysisError, match=words):
        asked(analysis, **columns)


def test_three_levels_are_not_compared_as_two_and_levels_nobody_named_are_asked_for() -> None:
    with pytest.raises(StudyError, match=r"has 3 levels \(a, b, c\).*group=a\|b"):
        asked(TTest("x", "group"), x=[1.0], group=["a"])
    with pytest.raises(StudyError, match=r"nobody named the levels of column 'grp'.*Did you mean 'group'"):
        asked(Anova("x", "grp"), x=[1.0], group=["a"])
    assert (
        asked(TTest("x", "group", ("group=a|c",)), x=[1, 2, 3, 5, 9], group=["a", "a", "c", "c", "b"])["left_out"]
        == 1
    )
