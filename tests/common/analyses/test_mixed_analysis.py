import warnings
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from common.analyses.mixed import Mixed
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from tests.common.analyses.patients import column


def wards(between: float = 2.0, rows: int = 120, count: int = 8) -> Records:
    """Rows of wards, each of one hospital, with an effect of its own."""
    rng = np.random.default_rng(1)
    ward, age = rng.integers(0, count, rows), rng.normal(50, 10, rows)
    sex = rng.choice(["f", "m"], rows)
    y = 1 + 0.1 * age + (sex == "m") + rng.normal(0, between, count)[ward] + rng.normal(0, 1.5, rows)
    names = np.array([f"w{w}" for w in ward])
    return Records({"age": age, "sex": sex, "stay": y, "ward": names}, names, "all")


def one_a_ward(records: Records) -> list[Records]:
    return [records.take(records.words("ward") == ward) for ward in np.unique(records.words("ward"))]


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_it_is_that_of_statsmodels(method: str) -> None:
    records = wards()
    asked = ask_tables(Mixed("stay", ("age", "sex"), method=method, levels=("sex=f|m",)), one_a_ward(records))
    numbers = asked.answer.numbers
    z = np.stack([np.ones(120), records.numbers("age"), records.words("sex") == "m"], axis=1).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = sm.MixedLM(records.numbers("stay"), z, groups=records.words("ward"))
        fit = peer.fit(reml=method == "reml", method="bfgs", gtol=1e-12, maxiter=1000)
    assert np.allclose(column(asked.answer, "estimate"), fit.fe_params, rtol=1e-9)
    assert np.isclose(numbers["variance_between"], fit.cov_re[0, 0], rtol=1e-9)
    assert np.isclose(numbers["variance_within"], fit.scale, rtol=1e-9)
    assert np.isclose(numbers["log_likelihood"], fit.llf, rtol=1e-12)
    # Errors are those of generalised least squares at these variances, as of lme4 and SAS; statsmodels inverts the
    # whole second derivative instead.
    same = records.words("ward")[:, None] == records.words("ward")
    covariance = numbers["variance_within"] * np.eye(120) + numbers["variance_between"] * same
    errors = sm.GLS(records.numbers("stay"), z, covariance).fit(cov_kwds={"scale": 1})
    theirs = np.sqrt(np.diag(errors.normalized_cov_params))
    assert np.allclose(column(asked.answer, "standard_error"), theirs, rtol=1e-9)
    assert np.allclose(column(asked.answer, "standard_error"), fit.bse_fe, rtol=1e-3)


@pytest.mark.parametrize("group", ["ward", "person"])
def test_groups_within_hospitals_need_no_hospital_of_their_own(group: str) -> None:
    records, first = wards(), np.isin(wards().words("ward"), ["w0", "w3", "w4"])
    asked = Mixed("stay", ("age",), group)
    divided = ask_tables(asked, [records.take(first), records.take(~first)]).answer
    assert divided == ask_tables(asked, [records]).answer
    alone = ask_tables(Mixed("stay", ("age",)), one_a_ward(records)).answer
    assert divided.numbers["coefficients"] == alone.numbers["coefficients"]


def test_no_variance_between_groups_is_an_answer() -> None:
    records = wards()
    centred = records.numbers("stay").copy()
    for ward in np.unique(records.words("ward")):
        mine = records.words("ward") == ward
        centred[mine] -= centred[mine].mean()
    answer = ask_tables(
        Mixed("stay", ("age",), "ward"), [replace(records, columns={**records.columns, "stay": centred})]
    ).answer
    assert answer.numbers["variance_between"] == 0 and answer.numbers["likelihood_ratio_p"] == 1


def test_what_single_hospitals_give_away_is_said() -> None:
    answer = ask_tables(Mixed("stay", ("age",)), one_a_ward(wards())).answer
    assert "can compute each one's size and column means" in " ".join(answer.words)
    assert "can compute" not in " ".join(ask_tables(Mixed("stay", ("age",), "ward"), [wards()]).answer.words)


def test_one_group_or_one_row_each_is_refused() -> None:
    with pytest.raises(AnalysisError, match="1 groups"):
        ask_tables(Mixed("stay", ("age",)), [wards()])
    with pytest.raises(AnalysisError, match="0 of them with two rows"):
        ask_tables(Mixed("stay", ("age",)), [wards().take(np.array([row])) for row in range(6)])


def test_an_outcome_without_error_is_refused() -> None:
    records = wards()
    exact = replace(records, columns={**records.columns, "stay": records.numbers("age") * 2})
    with pytest.raises(AnalysisError, match="without any error"):
        ask_tables(Mixed("stay", ("age",), "ward"), [exact])
    with pytest.raises(StudyError, match="did you mean 'reml'"):
        Mixed("stay", ("age",), method="rmel")
