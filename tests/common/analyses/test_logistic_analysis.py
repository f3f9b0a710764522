import warnings
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from common.analyses.logistic import Logistic
from common.asking.analysis import Public
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from tests.common.analyses.patients import LEVELS, answered, column, design, patients

COVARIATES = ("age", "sex", "stage", "age:sex")


def test_it_is_that_of_statsmodels_on_all_rows() -> None:
    records = patients()
    answer = answered(Logistic("died", COVARIATES, levels=LEVELS), records)
    peer = sm.Logit(records.numbers("died"), design(records)).fit(method="newton", tol=1e-14, disp=0)
    for key, theirs in (("estimate", peer.params), ("standard_error", peer.bse), ("p", peer.pvalues)):
        assert np.allclose(column(answer, key), theirs, rtol=1e-9, atol=0), key
    assert np.allclose(column(answer, "ratio_low"), np.exp(peer.conf_int()[:, 0]), rtol=1e-9)
    for key, value in (("log_likelihood", peer.llf), ("aic", peer.aic), ("likelihood_ratio", peer.llr)):
        assert np.isclose(answer.numbers[key], value, rtol=1e-7)
    general = sm.GLM(records.numbers("died"), design(records), family=sm.families.Binomial()).fit(tol=1e-14)
    assert np.isclose(answer.numbers["deviance"], general.deviance, rtol=1e-9)
    assert np.isclose(answer.numbers["pearson"], general.pearson_chi2, rtol=1e-9)
    robust = answered(Logistic("died", COVARIATES, robust=True, levels=LEVELS), records)
    sandwich = sm.GLM(records.numbers("died"), design(records), family=sm.families.Binomial())
    sandwich = sandwich.fit(cov_type="HC0", tol=1e-14)
    assert np.allclose(column(robust, "standard_error"), sandwich.bse, rtol=1e-7)


def test_the_calibration_counts_every_row_once() -> None:
    answer = answered(Logistic("died", ("age",)), patients())
    bins = answer.numbers["calibration"].values()
    assert sum(one["n"] for one in bins) == 240 and sum(one["events"] for one in bins) == answer.numbers["events"]
    predicted = sum(one["n"] * one["predicted"] for one in bins)
    assert np.isclose(predicted, answer.numbers["events"])  # the intercept's score is 0


def test_words_are_an_outcome_too() -> None:
    records = patients(80)
    words = Records(
        {**records.columns, "end": np.where(records.numbers("died") > 0, "dead", "alive")}, records.persons, "all"
    )
    plain = answered(Logistic("died", ("age",)), records).numbers
    assert answered(Logistic("end", ("age",), event_is="dead"), words).numbers == plain
    public = Public(("all",), {"end": ("alive", "dead")})
    assert ask_tables(Logistic("end", ("age",)), [words], public).answer.numbers == plain
    with pytest.raises(StudyError, match="which one is the event"):
        answered(Logistic("end", ("age",)), words)


def test_digits_that_a_study_declares_as_words_are_an_outcome() -> None:
    records = patients(80)
    digits = np.where(records.numbers("died") > 0, "1", "0")
    declared = Records({**records.columns, "died": digits}, records.persons, "all")
    public = Public(("all",), {"died": ("0", "1")})
    plain = answered(Logistic("died", ("age",)), records).numbers
    assert ask_tables(Logistic("died", ("age",)), [declared], public).answer.numbers == plain


def separated(records: Records, chance: float) -> Records:
    """A column that is yes of nobody without the outcome, and of a share of those with it."""
    sure = np.random.default_rng(2).random(len(records)) < chance
    mark = np.where((records.numbers("died") > 0) & sure, "yes", "no")
    return replace(records, columns={**records.columns, "mark": mark})


@pytest.mark.parametrize(
    ("chance", "words"), [(1.0, "without a single error.*mark=yes"), (0.4, "separated.*mark=yes")]
)
def test_separation_is_proven_and_the_covariate_named(chance: float, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        answered(Logistic("died", ("age", "mark"), levels=("mark=no|yes",)), separated(patients(80), chance))


def test_a_strong_effect_is_no_separation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-8 * x))).astype(np.float64)
    records = Records(
        {"x": x * 1e9, "y": y, "hospital": np.repeat(["a", "b"], 200)}, np.arange(400).astype(str), "all"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = sm.Logit(y, sm.add_constant(x)).fit(method="newton", tol=1e-14, disp=0, maxiter=100)
    assert np.allclose(column(answered(Logistic("y", ("x",)), records), "z"), peer.tvalues, rtol=1e-9)


@pytest.mark.parametrize(
    ("died", "words"),
    [
        (np.zeros(40), "happened in 0 of 40"),
        (np.ones(40), "happened in 40 of 40"),
        (np.arange(40.0) % 3, "neither 0 nor 1 in 13 of 40"),
        (np.full(40, np.nan), "none has all"),
    ],
)
def test_an_outcome_that_tells_nothing_is_refused(died: np.ndarray, words: str) -> None:
    records = patients(40)
    with pytest.raises(AnalysisError, match=words):
        answered(Logistic("died", ("age",)), replace(records, columns={**records.columns, "died": died}))


def test_columns_that_give_each_other_nearly_are_refused() -> None:
    records = patients(40)
    close = records.numbers("age") + 1e-9 * np.random.default_rng(0).normal(size=40)
    with pytest.raises(AnalysisError, match="'close' is given by age"):
        answered(Logistic("died", ("age", "close")), replace(records, columns={**records.columns, "close": close}))


def test_an_event_is_told_from_a_number_by_a_comparison() -> None:
    records = patients(80)
    old = replace(records, columns={**records.columns, "old": (records.numbers("age") >= 60).astype(np.float64)})
    compared = answered(Logistic("age", ("falls",), event_is=">=60"), records)
    assert compared.numbers == answered(Logistic("old", ("falls",)), old).numbers
    with pytest.raises(StudyError, match="compares with a number"):
        Logistic("age", ("falls",), event_is=">old")
