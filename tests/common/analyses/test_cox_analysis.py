from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from statsmodels.duration.hazard_regression import PHReg

from common.analyses.cox import Cox
from common.asking.abilities import of_hospitals, whole_hospitals
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from tests.common.analyses.brca import brca
from tests.common.analyses.patients import LEVELS, answered, column, design, patients

COVARIATES = ("age", "sex", "stage")
CANCER = ("age_at_index", "prior_malignancy_yes", "treatment_or_therapy_yes", "ajcc_pathologic_t_T2")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(("strata", "width"), [("", 0.0), ("", 20.0), ("hospital", 0.0), ("site", 20.0)])
def test_it_is_that_of_statsmodels_on_all_rows(ties: str, strata: str, width: float) -> None:
    records = patients()
    asked = Cox("time", "event", COVARIATES, ties, strata, width, levels=(*LEVELS, "hospital=a|b|c"))
    if strata == "site":
        of_hospitals = [records.take(records.words("hospital") == name) for name in ("a", "b", "c")]
        answer = ask_tables(asked, of_hospitals).answer
    else:
        answer = answered(asked, records)
    times = records.numbers("time")
    peer = PHReg(
        np.ceil(times / width) * width if width else times,
        design(records)[:, 1:5],
        status=records.numbers("event"),
        ties=ties,
        strata=records.words("hospital") if strata else None,
    ).fit(method="newton", tol=1e-14, disp=0)
    for key, theirs in (("estimate", peer.params), ("standard_error", peer.bse), ("p", peer.pvalues)):
        assert np.allclose(column(answer, key), theirs, rtol=1e-9, atol=0), key
    assert np.isclose(answer.numbers["log_likelihood"], peer.llf, rtol=1e-12)


def test_with_hospitals_as_strata_one_score_and_one_matrix_a_round_cross_the_wire() -> None:
    records = patients()
    asked = ask_tables(Cox("time", "event", ("age", "sex"), strata="site", levels=LEVELS), [records])
    assert {part for query, _ in asked.rounds[2:] for part in query.parts} == {"partial"}
    assert asked.rounds[-1][0].parts["partial"].size == 1 + 2 + 3


def extended(records: Records, transform: np.ndarray, theta: np.ndarray, beta: np.ndarray) -> float:
    """The log partial likelihood of effects beta + theta g(t), with Breslow's ties, person by person."""
    times, events, z = records.numbers("time"), records.numbers("event"), design(records)[:, 1:3]
    grid, total = sorted(set(times[events > 0])), 0.0
    for time, g in zip(grid, transform, strict=True):
        eta = z @ (beta + theta * g)
        had = (times == time) & (events > 0)
        total += eta[had].sum() - had.sum() * np.log(np.exp(eta[times >= time]).sum())
    return float(total)


def test_the_check_of_proportional_hazards_is_the_score_test_of_an_effect_that_changes() -> None:
    records = patients(60)
    records = replace(records, columns={**records.columns, "age": (records.numbers("age") - 60) / 10})
    numbers = answered(Cox("time", "event", ("age", "sex"), "breslow", levels=LEVELS), records).numbers
    beta = np.array([row["estimate"] for row in numbers["coefficients"].values()])
    times, events = records.numbers("time"), records.numbers("event")
    at_risk = np.array([(times >= time).sum() for time in numbers["times"]])
    deaths = np.array([((times == time) & (events > 0)).sum() for time in numbers["times"]])
    g = 1 - np.r_[1.0, np.cumprod(1 - deaths / at_risk)[:-1]]

    def slope(both: np.ndarray) -> np.ndarray:
        return approx_fprime(both, lambda v: extended(records, g, v[:2], v[2:]), 1e-4)

    at = np.r_[0.0, 0.0, beta]
    steps = 1e-3 * np.eye(4)
    information = -np.array([(slope(at + step) - slope(at - step)) / 2e-3 for step in steps])
    score, bread = slope(at)[:2], np.linalg.inv(information[2:, 2:])
    spread = information[:2, :2] - information[:2, 2:] @ bread @ information[2:, :2]
    found = numbers["proportional_hazards"]
    assert np.allclose(score**2 / np.diag(spread), [found[n]["chi_squared"] for n in ("age", "sex=m")], rtol=1e-2)
    together = score @ np.linalg.solve(spread, score)
    assert np.isclose(found["all together"]["chi_squared"], together, rtol=1e-2)


def test_concordance_lies_between_its_bounds() -> None:
    records = patients(80)
    numbers = answered(Cox("time", "event", ("age", "sex"), levels=LEVELS), records).numbers
    risk = design(records)[:, 1:3] @ [row["estimate"] for row in numbers["coefficients"].values()]
    times, events = records.numbers("time"), records.numbers("event")
    ordered = pairs = 0.0
    for i in np.flatnonzero(events):
        later = (times > times[i]) | ((times == times[i]) & (events == 0))
        pairs += later.sum()
        ordered += (risk[i] > risk[later]).sum() + (risk[i] == risk[later]).sum() / 2
    found = numbers["concordance"]
    assert found["pairs"] == pairs and found["low"] <= ordered / pairs <= found["high"]
    assert abs(found["middle"] - ordered / pairs) < 0.01


def test_a_huge_offset_and_unit_change_nothing_but_the_unit() -> None:
    records = patients(80)
    far = replace(records, columns={**records.columns, "age": (records.numbers("age") + 2.0**24) * 2.0**60})
    near, moved = (answered(Cox("time", "event", ("age",)), one) for one in (records, far))
    assert np.allclose(column(moved, "z"), column(near, "z"), rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"event": np.zeros(60)}, "nobody of 60 had the event"),
        ({"event": np.arange(60.0) % 3}, "neither 0 nor 1"),
        ({"age": np.full(60, 2.0)}, "'age' is the same in every complete row"),
    ],
)
def test_what_has_no_hazard_is_refused(changed: dict[str, np.ndarray], words: str) -> None:
    records = patients(60)
    with pytest.raises(AnalysisError, match=words):
        answered(
            Cox("time", "event", ("age", "sex"), levels=LEVELS),
            replace(records, columns={**records.columns, **changed}),
        )


@pytest.mark.parametrize("strata", ["", "site"])
def test_a_group_in_which_nobody_dies_is_named(strata: str) -> None:
    records = patients(60)
    calm = np.where(records.words("sex") == "m", 0.0, records.numbers("event"))
    with pytest.raises(AnalysisError, match="hazard ratio of sex=m is not finite"):
        ask_tables(
            Cox("time", "event", ("age", "sex"), strata=strata, levels=LEVELS),
            [replace(records, columns={**records.columns, "event": calm})],
        )


def test_a_covariate_that_is_the_same_within_every_stratum_is_named() -> None:
    with pytest.raises(AnalysisError, match="covariate 'sex=m' tells nothing"):
        answered(Cox("time", "event", ("age", "sex"), strata="sex", levels=LEVELS), patients(60))


def test_no_covariate_is_no_question() -> None:
    with pytest.raises(StudyError, match="kaplan_meier"):
        Cox("time", "event", ())


@pytest.mark.data
def test_hazard_ratios_with_breast_cancer_are_those_of_lifelines(shared_data: Path) -> None:
    """lifelines 0.30.3, CoxPHFitter (Efron); its convergence is of 1e-11."""
    numbers = answered(Cox("T", "E", CANCER), brca(shared_data)).numbers
    rows = numbers["coefficients"].values()
    estimates = [0.018439521240375234, 0.2867704392575185, -1.3149131709793438, 0.14859026296495104]
    errors = [0.006295745161803135, 0.3482886532440443, 0.1753117103183072, 0.167806585983985]
    assert np.allclose([row["estimate"] for row in rows], estimates, rtol=1e-9)
    assert np.allclose([row["standard_error"] for row in rows], errors, rtol=1e-9)
    assert np.isclose(numbers["log_likelihood"], -816.315781683091, rtol=1e-13)
    assert abs(numbers["concordance"]["middle"] - 0.6773355470491476) < 1e-3


def test_hospitals_as_strata_tell_of_no_hospital_alone() -> None:
    stratified = Cox("time", "event", ("age",), strata="site")
    assert whole_hospitals(stratified) and not of_hospitals(stratified)
