from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from common.analyses.poisson import Poisson
from common.errors import AnalysisError, StudyError
from tests.common.analyses.patients import LEVELS, answered, column, design, patients

COVARIATES = ("age", "sex", "stage", "age:sex")


def test_it_is_that_of_statsmodels_on_all_rows() -> None:
    records = patients()
    answer = answered(Poisson("falls", COVARIATES, exposure="days", levels=LEVELS), records)
    y, days = records.numbers("falls"), records.numbers("days")
    centred = design(records)
    centred[:, 1] -= 60
    centred[:, 5] = centred[:, 1] * centred[:, 2]
    peer = sm.Poisson(y, centred, exposure=days).fit(method="newton", tol=1e-14, disp=0, maxiter=100)
    same = [1, 3, 4, 5]  # the others mean something else about 60
    for key, theirs in (("estimate", peer.params), ("standard_error", peer.bse), ("z", peer.tvalues)):
        assert np.allclose(column(answer, key)[same], theirs[same], rtol=1e-9, atol=0), key
    assert np.isclose(answer.numbers["log_likelihood"], peer.llf, rtol=1e-9)
    general = sm.GLM(y, centred, family=sm.families.Poisson(), exposure=days).fit(tol=1e-14)
    assert np.isclose(answer.numbers["deviance"], general.deviance, rtol=1e-9)
    assert np.isclose(answer.numbers["pearson"], general.pearson_chi2, rtol=1e-9)
    robust = answered(Poisson("falls", COVARIATES, exposure="days", robust=True, levels=LEVELS), records)
    sandwich = sm.GLM(y, centred, family=sm.families.Poisson(), exposure=days).fit(cov_type="HC0", tol=1e-14)
    assert np.allclose(column(robust, "standard_error")[same], sandwich.bse[same], rtol=1e-8)


def test_an_offset_is_the_logarithm_of_an_exposure() -> None:
    records = patients(80)
    records = replace(records, columns={**records.columns, "log days": np.log(records.numbers("days"))})
    exposed, offset = (
        answered(Poisson("falls", ("age",), **options), records)
        for options in ({"exposure": "days"}, {"offset": "log days"})
    )
    assert np.allclose(column(exposed, "estimate"), column(offset, "estimate"), rtol=1e-12)
    with pytest.raises(StudyError, match="not both"):
        Poisson("falls", ("age",), exposure="days", offset="log days")


def test_a_group_without_any_event_is_named() -> None:
    records = patients(80)
    falls = np.where(records.words("sex") == "m", records.numbers("falls"), 0.0)
    with pytest.raises(AnalysisError, match=r"separated.*sex=m"):
        answered(
            Poisson("falls", ("age", "sex"), levels=LEVELS),
            replace(records, columns={**records.columns, "falls": falls}),
        )


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("falls", np.zeros(40), "is 0 in all of 40 rows"),
        ("falls", np.arange(40.0) - 1, "below 0 in 1 of 40"),
        ("days", np.arange(40.0), "not above 0 in 1 of 40"),
        ("falls", np.full(40, 1e15), "take a larger unit"),
    ],
)
def test_what_has_no_rate_is_refused(name: str, values: np.ndarray, words: str) -> None:
    records = patients(40)
    with pytest.raises(AnalysisError, match=words):
        answered(
            Poisson("falls", ("age",), exposure="days" if name == "days" else ""),
            replace(records, columns={**records.columns, name: values}),
        )


def test_counts_that_spread_too_widely_are_told() -> None:
    records = patients(80)
    wide = replace(records, columns={**records.columns, "falls": records.numbers("falls") * 10})
    assert "take robust = true" in " ".join(answered(Poisson("falls", ("age",)), wide).words)
