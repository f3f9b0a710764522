"""Effects by sums against statsmodels on all rows, worked numbers, and laws."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from common.analyses._estimation import bootstrap_weights
from common.analyses.aipw import Aipw
from common.analyses.balance import Balance
from common.analyses.g_formula import GFormula
from common.analyses.instrument import Instrument
from common.analyses.ipw import Ipw
from common.analyses.mediation import Mediation
from common.analyses.standardisation import Standardisation
from common.analyses.subgroup_effects import SubgroupEffects
from common.analyses.transport import Transport
from common.asking.analysis import Analysis, Public
from common.asking.pooled import Asked, ask_tables
from common.asking.records import Records
from common.causality.contrasts import Interval, e_value
from common.errors import AnalysisError, StudyError, UnknownNameError

SITES = ("east", "north", "west")
Floats = NDArray[np.float64]
X = ("age", "sex")


@cache
def made() -> dict[str, Floats]:
    """150 patients of three hospitals."""
    rng = np.random.default_rng(3)
    n = 150
    site = rng.integers(0, 3, n).astype(np.float64)
    age, sex = rng.normal(60, 10, n), (rng.random(n) < 0.5).astype(np.float64)
    treated = (rng.random(n) < 1 / (1 + np.exp(-((age - 60) / 12 + 0.5 * sex + 0.6 * (site - 1))))).astype(np.float64)
    dose = 0.5 * treated + 0.03 * age + rng.normal(size=n)
    again = (rng.random(n) < 1 / (1 + np.exp(-(dose - 2)))).astype(np.float64)
    pressure = 120 + 0.4 * age + 3 * site + 5 * treated + 2 * dose + 3 * again + rng.normal(0, 6, n)
    died = (rng.random(n) < 1 / (1 + np.exp(-(pressure - 165) / 10))).astype(np.float64)
    reply = (dose > 2).astype(np.float64)
    return {
        "site": site, "age": age, "sex": sex, "treated": treated, "dose": dose, "again": again,
        "pressure": pressure, "died": died, "reply": reply,
    }  # fmt: skip


def hospitals() -> list[Records]:
    data = made()
    return [part(data, data["site"] == index, name) for index, name in enumerate(SITES)]


def part(data: dict[str, Floats], rows: NDArray[np.bool_], site: str) -> Records:
    columns = {name: values[rows] for name, values in data.items() if name != "site"}
    return Records(columns, np.array([f"p{index}" for index in np.flatnonzero(rows)]), site)


def asked(analysis: Analysis, tables: Sequence[Records] = ()) -> Asked:
    return ask_tables(analysis, tables or hospitals(), Public(SITES))


def numbers(analysis: Analysis) -> dict[str, Any]:
    return dict(asked(analysis).answer.numbers)


def design(data: dict[str, Floats], *more: Floats) -> Floats:
    """Covariates as the analyses make them: 1, age, sex, hospitals but the first."""
    return np.column_stack(
        [np.ones(len(data["age"])), data["age"], data["sex"], data["site"] == 1, data["site"] == 2, *more]
    ).astype(np.float64)


def logit(y: Floats, x: Floats) -> Any:
    return sm.GLM(y, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)


def chance() -> Floats:
    data = made()
    return np.asarray(logit(data["treated"], design(data)).fittedvalues)


@pytest.mark.parametrize("population", ["all", "treated", "overlap"])
def test_weighted_means_are_those_of_statsmodels_weights(population: str) -> None:
    data, e = made(), chance()
    a, y = data["treated"], data["pressure"]
    one, zero = {
        "all": (a / e, (1 - a) / (1 - e)),
        "treated": (a, (1 - a) * e / (1 - e)),
        "overlap": (a * (1 - e), (1 - a) * e),
    }[population]
    expected = np.average(y, weights=one) - np.average(y, weights=zero)
    found = numbers(Ipw("pressure", "treated", X, population=population))  # type: ignore[arg-type]
    assert found["difference"]["estimate"] == pytest.approx(expected, rel=1e-9)
    ess = one.sum() ** 2 / (one**2).sum()
    assert found["overlap"]["effective_treated"] == pytest.approx(ess, rel=1e-9)


def test_a_standardised_difference_of_a_linear_model_is_its_coefficient_with_errors_half_way_to_the_jackknife() -> (
    None
):
    data = made()
    fit = sm.OLS(data["pressure"], design(data, data["treated"])).fit()
    leverage = fit.get_influence().hat_matrix_diag
    effects = fit.model.pinv_wexog[-1] * fit.resid * (1 + 1 / (1 - leverage)) / 2
    found = numbers(Standardisation("pressure", "treated", X))["difference"]
    assert found["estimate"] == pytest.approx(fit.params[-1], rel=1e-9)
    assert found["standard_error"] == pytest.approx(np.sqrt((effects**2).sum()), rel=1e-9)


def test_a_ridge_pulls_the_covariates_and_hardly_the_treatment() -> None:
    data = made()
    x, y = design(data), data["pressure"]
    x[:, 1:] = (x[:, 1:] - x[:, 1:].mean(axis=0)) / x[:, 1:].std(axis=0)
    x = np.column_stack([x, data["treated"]])
    pulled = np.linalg.solve(x.T @ x + np.diag([0, 8, 8, 8, 8, 0.5]), x.T @ (y - y.mean()))
    found = numbers(Standardisation("pressure", "treated", X, ridge=8))["difference"]["estimate"]
    assert found == pytest.approx(pulled[-1], rel=1e-9)


def test_standardised_risks_are_the_mean_predictions_of_a_logistic_model() -> None:
    data = made()
    fit = logit(data["died"], design(data, data["treated"]))
    one, zero = (float(np.mean(fit.predict(design(data, np.full(150, arm))))) for arm in (1.0, 0.0))
    found = numbers(Standardisation("died", "treated", X))
    assert found["binary"]
    assert found["difference"]["estimate"] == pytest.approx(one - zero, rel=1e-9)
    assert found["ratio"]["estimate"] == pytest.approx(one / zero, rel=1e-9)
    assert found["odds_ratio"]["estimate"] == pytest.approx(one / (1 - one) / (zero / (1 - zero)), rel=1e-9)


@pytest.mark.parametrize("folds", [1, 3])
def test_augmented_means_are_those_of_statsmodels_models_of_the_other_folds(folds: int) -> None:
    data = made()
    a, y, x = data["treated"], data["pressure"], design(data)
    names = [f"{SITES[int(site)]}|p{index}" for index, site in enumerate(data["site"])]
    fold = np.array([int.from_bytes(blake2b(n.encode(), digest_size=8).digest(), "big") % folds for n in names])
    e, m1, m0 = (np.zeros(150) for _ in range(3))
    for index in range(folds):
        there, here = (fold != index) | (folds == 1), fold == index
        e[here] = logit(a[there], x[there]).predict(x[here])
        fit = sm.OLS(y[there], np.column_stack([x, a])[there]).fit()
        m1[here], m0[here] = (fit.predict(np.column_stack([x, np.full(150, arm)])[here]) for arm in (1, 0))
    w1, w0 = a / e, (1 - a) / (1 - e)
    expected = np.mean(m1 - m0) + np.average(y - m1, weights=w1) - np.average(y - m0, weights=w0)
    found = numbers(Aipw("pressure", "treated", X, folds=folds))
    assert found["difference"]["estimate"] == pytest.approx(expected, rel=1e-9)


def test_the_error_of_an_effect_is_what_leaving_out_every_person_gives_half_way() -> None:
    """The slow oracle: every model fitted anew without a person, beside the influence by differences of weights."""
    rows = np.arange(150) < 40
    data = {name: values[rows] for name, values in made().items()}
    table = part(data, np.ones(40, np.bool_), "east")
    analysis = Aipw("pressure", "treated", X, sites="ignored")
    found = ask_tables(analysis, [table]).answer.numbers["difference"]
    fits = [
        ask_tables(analysis, [table.take(np.arange(40) != out)]).answer.numbers["difference"]["estimate"]
        for out in range(40)
    ]
    jackknife = np.sqrt(np.sum((np.array(fits) - found["estimate"]) ** 2))
    assert 0.8 * jackknife < found["standard_error"] < jackknife


def test_a_mediated_effect_of_linear_models_is_a_product_of_coefficients() -> None:
    data = made()
    a, m = data["treated"], data["dose"]
    outcome = sm.OLS(data["pressure"], design(data, a, m)).fit().params
    through = sm.OLS(m, design(data, a)).fit().params
    found = numbers(Mediation("pressure", "treated", "dose", X, products=False))
    assert found["indirect"]["estimate"] == pytest.approx(outcome[-1] * through[-1], rel=1e-9)
    assert found["direct"]["estimate"] == pytest.approx(outcome[-2], rel=1e-9)
    assert found["total"]["estimate"] == pytest.approx(outcome[-2] + outcome[-1] * through[-1], rel=1e-9)


def test_a_mediated_risk_follows_the_mediation_formula() -> None:
    data, ones = made(), np.ones(150)
    a, m = data["treated"], data["reply"]
    outcome = logit(data["died"], design(data, a, m, a * m))
    through = logit(m, design(data, a))

    def risk(seen: float, other: float) -> float:
        p = through.predict(design(data, other * ones))
        by_m = [outcome.predict(design(data, seen * ones, value * ones, seen * value * ones)) for value in (0, 1)]
        return float(np.mean((1 - p) * by_m[0] + p * by_m[1]))

    found = numbers(Mediation("died", "treated", "reply", X))
    assert found["direct"]["estimate"] == pytest.approx(risk(1, 0) - risk(0, 0), rel=1e-8)
    assert found["indirect"]["estimate"] == pytest.approx(risk(1, 1) - risk(1, 0), rel=1e-8)


def test_a_continuous_mediator_of_a_risk_is_averaged_over_its_noise() -> None:
    data, ones = made(), np.ones(150)
    a, m = data["treated"], data["dose"]
    outcome = logit(data["died"], design(data, a, m, a * m))
    through = sm.OLS(m, design(data, a)).fit()
    spread, grid = np.sqrt(np.mean(through.resid**2)), np.linspace(-8, 8, 4001)
    density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])

    def risk(seen: float, other: float) -> float:
        mean = through.predict(design(data, other * ones))[:, None] + spread * grid[None, :]
        base = design(data, seen * ones, 0 * ones, 0 * ones) @ outcome.params
        value = base[:, None] + (outcome.params[-2] + seen * outcome.params[-1]) * mean
        return float(np.mean((1 / (1 + np.exp(-value))) @ density))

    found = numbers(Mediation("died", "treated", "dose", X))
    assert found["indirect"]["estimate"] == pytest.approx(risk(1, 1) - risk(1, 0), rel=1e-8)


def test_treatments_over_time_are_compared_by_iterated_expectations() -> None:
    data, ones = made(), np.ones(150)
    first, second = data["treated"], data["again"]
    last = sm.OLS(data["pressure"], design(data, data["dose"], first, second)).fit()

    def regime(arm: float) -> float:
        later = last.predict(design(data, data["dose"], arm * ones, arm * ones))
        earlier = sm.OLS(later, design(data, first)).fit()
        return float(np.mean(earlier.predict(design(data, arm * ones))))

    found = numbers(GFormula("pressure", ("age", "sex", "treated", "dose", "again"), ("treated", "again")))
    assert found["difference"]["estimate"] == pytest.approx(regime(1) - regime(0), rel=1e-9)


def test_an_effect_is_carried_to_a_hospital_of_which_no_outcome_is_looked_at() -> None:
    data = made()
    here = data["site"] == 2
    a, y, x = data["treated"], data["pressure"], design(data)[:, :3]
    of_others = logit((~here).astype(float), x).fittedvalues
    e = logit(a[~here], x[~here]).predict(x)
    fit = sm.OLS(y[~here], np.column_stack([x, a])[~here]).fit()
    m1, m0 = (fit.predict(np.column_stack([x, np.full(150, arm)])) for arm in (1, 0))
    odds = np.where(here, 0, (1 - of_others) / of_others)
    expected = np.mean((m1 - m0)[here])
    expected += np.average(y - m1, weights=odds * a / e) - np.average(y - m0, weights=odds * (1 - a) / (1 - e))
    analysis = Transport("pressure", "treated", "west", X, apart=False)
    found = numbers(analysis)
    assert found["difference"]["estimate"] == pytest.approx(expected, rel=1e-9)
    silent = replace(hospitals()[2], columns={name: made()[name][here] for name in X})
    assert asked(analysis, [*hospitals()[:2], silent]).answer == asked(analysis).answer


def test_an_instrument_gives_two_stage_least_squares() -> None:
    data = made()
    z = design(data, data["reply"])
    stage = sm.OLS(data["again"], z).fit()
    second = sm.OLS(data["pressure"], design(data, stage.fittedvalues)).fit()
    found = numbers(Instrument("pressure", "again", "reply", X))
    assert found["difference"]["estimate"] == pytest.approx(second.params[-1], rel=1e-9)


def test_groups_with_a_model_of_their_own_hospitals_add_up_to_the_effect_of_all() -> None:
    groups, whole = numbers(SubgroupEffects("pressure", "treated", X)), numbers(Aipw("pressure", "treated", X))
    each = groups["groups"]
    sizes = [each[site]["n"] for site in SITES]
    average = np.average([each[site]["difference"]["estimate"] for site in SITES], weights=sizes)
    assert average == pytest.approx(groups["difference"]["estimate"], rel=1e-12)
    assert groups["difference"]["estimate"] == pytest.approx(whole["difference"]["estimate"], abs=1.0)
    assert 0 <= groups["heterogeneity"]["p"] <= 1


def test_a_hospital_that_changes_the_effect_is_found() -> None:
    data = {**made()}
    data["pressure"] = data["pressure"] + 12 * data["treated"] * (data["site"] == 2)
    tables = [part(data, data["site"] == index, name) for index, name in enumerate(SITES)]
    found = asked(SubgroupEffects("pressure", "treated", X), tables).answer
    assert found.numbers["heterogeneity"]["p"] < 0.01
    assert found.figures[0].series[0].x == (*SITES, "all")


def test_weighting_brings_covariates_together() -> None:
    found = numbers(Balance("treated", X))["overlap"]
    for differences in found["standardised_differences"].values():
        assert abs(differences["after"]) < 0.12
    assert found["standardised_differences"]["age"]["before"] > 0.3
    assert sum(found["chance_treated"]) == made()["treated"].sum()


def test_replicates_of_hospitals_are_those_of_all_rows_and_their_spread_is_that_of_the_formula() -> None:
    analysis = Ipw("pressure", "treated", X, sites="ignored", bootstrap=40, seed=2)
    everybody = part(made(), np.ones(150, np.bool_), "all")
    divided, together = asked(analysis).answer, ask_tables(analysis, [everybody]).answer
    assert divided == together
    assert divided.numbers["bootstrap"]["standard_error"] == pytest.approx(
        divided.numbers["difference"]["standard_error"], rel=0.4
    )


def test_bootstrap_weights_follow_from_seed_and_person_alone() -> None:
    persons = np.array(["a", "b", "c"])
    weights = bootstrap_weights(persons, 1, 2000)
    assert np.array_equal(weights[1:2], bootstrap_weights(persons[1:2], 1, 2000))
    assert not np.array_equal(weights, bootstrap_weights(persons, 2, 2000))
    assert abs(weights.mean() - 1) < 0.05 and abs(weights.var() - 1) < 0.1


def test_the_e_value_of_the_first_paper_on_it() -> None:
    strength = e_value(Interval(3.9, 1.8, 8.7, 0.0))
    assert (round(strength.estimate, 2), round(strength.interval, 2)) == (7.26, 3.0)
    assert e_value(Interval(0.8, 0.5, 1.2, 0.0)).interval == 1.0


def test_what_cannot_be_told_is_refused_in_words() -> None:
    data = {**made()}
    data["older"] = (data["treated"] == 1) * 10.0 + data["age"] * 0
    data["twice"] = 2 * data["age"]
    tables = [part(data, data["site"] == index, name) for index, name in enumerate(SITES)]
    with pytest.raises(AnalysisError, match="a comparison needs some"):
        asked(Ipw("pressure", "treated", X, treated="2"))
    with pytest.raises(AnalysisError, match="ridge = 1"):
        asked(Ipw("pressure", "treated", ("older",)), tables)
    with pytest.raises(AnalysisError, match="a covariate follows from others"):
        asked(Ipw("pressure", "treated", ("age", "twice")), tables)
    with pytest.raises(UnknownNameError, match="did you mean 'treated'"):
        asked(Ipw("pressure", "treated", X, population="treatd"))  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="power"):
        asked(Ipw("pressure", "treated", ("age", "age^half")))
    with pytest.raises(StudyError, match="order"):
        asked(GFormula("pressure", ("treated", "dose", "again"), ("again", "treated")))
    with pytest.raises(StudyError, match="no hospital"):
        asked(Transport("pressure", "treated", "south", X))


def test_adjusting_for_hospitals_turns_an_effect_that_they_confound() -> None:
    data = {**made()}
    data["pressure"] = 100 - 5 * data["treated"] + 60 * data["site"] + data["age"] * 0
    data["pressure"] = data["pressure"] + np.random.default_rng(1).normal(0, 1, 150)
    tables = [part(data, data["site"] == index, name) for index, name in enumerate(SITES)]
    crude, adjusted = (
        asked(Standardisation("pressure", "treated", X, sites=sites), tables).answer.numbers["difference"]["estimate"]
        for sites in ("ignored", "fixed")
    )
    assert crude > 0 and adjusted == pytest.approx(-5, abs=0.5)
