"""The benchmark of effects: its real patients as documented, its made ones as they are meant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from common.analyses._estimation import bootstrap_weights
from common.analyses.aipw import Aipw
from common.analyses.ipw import Ipw
from common.analyses.standardisation import Standardisation
from common.analyses.subgroup_effects import SubgroupEffects
from common.asking.answer import Answer
from common.asking.pooled import ask_tables
from common.errors import SourceError
from experiments.benchmarks._causal_data import HEART_COVARIATES, HEART_LEVELS, Made, heart, in_hospitals, lalonde
from experiments.benchmarks._causal_designs import FRESH, MADE, SETTLED_ON, Drawn, MadeStudy
from experiments.benchmarks._causal_meta import meta_analysis
from experiments.benchmarks._causal_simulation import META, WAYS, Simulated, bootstrap_interval, simulated
from experiments.benchmarks._causal_twin import estimates, federations, replicate
from experiments.benchmarks._data import find

PAGE = Path(__file__).parents[2] / "docs" / "effects.md"


@pytest.fixture(scope="module")
def patients() -> Made:
    try:
        return heart(find("heart-disease-4centre"))
    except SourceError as error:
        pytest.skip(str(error))


def as_written(answer: Answer) -> str:
    """The first table and the sentences, as the page has them."""
    table = answer.tables[0]
    cells = [table.header, ("---",) * len(table.header), *table.rows]
    lines = ["| " + " | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in row) + " |" for row in cells]
    return "\n".join([*lines, "", *("> " + "\n>\n> ".join(answer.words)).splitlines()])


def test_the_page_says_what_hospitals_with_heart_patients_answer(patients: Made) -> None:
    tables, public = patients
    answer = ask_tables(Aipw("disease", "angina", HEART_COVARIATES, levels=HEART_LEVELS), tables, public).answer
    difference = answer.numbers["difference"]
    assert answer.numbers["n"] == 865
    assert answer.numbers["unadjusted_difference"] == pytest.approx(0.473, abs=0.001)
    assert difference["estimate"] == pytest.approx(0.233, abs=0.001)
    assert as_written(answer) in PAGE.read_text(encoding="utf-8")


def test_the_page_says_in_which_of_them_the_effect_differs(patients: Made) -> None:
    tables, public = patients
    asked = SubgroupEffects("disease", "angina", HEART_COVARIATES, levels=HEART_LEVELS)
    answer = ask_tables(asked, tables, public).answer
    assert answer.numbers["heterogeneity"]["p"] < 0.01
    assert as_written(answer) in PAGE.read_text(encoding="utf-8")


def test_every_made_study_has_the_effect_that_it_is_measured_against() -> None:
    assert len({study.name for study in MADE}) == len(MADE)
    for study in MADE:
        tables, public = study.tables(1)
        assert len(tables) == study.hospitals == len(public.sites)
        assert all(study.fewest <= len(table) <= study.most for table in tables)
        assert {"outcome", "treated", "x1", "x2"} <= set(tables[0].columns)
        assert np.array_equal(tables[0].columns["x1"], study.tables(1)[0][0].columns["x1"])


@pytest.mark.parametrize("study", [SETTLED_ON[1], FRESH[1], SETTLED_ON[6]], ids=lambda study: study.name)
def test_plain_arrays_give_what_the_analyses_give(study: MadeStudy) -> None:
    tables, public = study.tables(5)
    covariates = tuple(name for name in tables[0].columns if name.startswith("x"))
    made = federations([study.rows(5), study.rows(6)])
    for way, analysis in (("standardisation", Standardisation), ("ipw", Ipw), ("aipw", Aipw)):
        for ridge in (0.0, 4.0):
            ours = ask_tables(analysis("outcome", "treated", covariates, ridge=ridge), tables, public)
            difference, twin = ours.answer.numbers["difference"], estimates(way, made, ridge)
            low, high = twin.difference - twin.half_width, twin.difference + twin.half_width
            for name, values in (("estimate", twin.difference), ("low", low), ("high", high)):
                assert values[0] == pytest.approx(difference[name], rel=1e-9, abs=1e-9)
            assert twin.error[0] == pytest.approx(difference["standard_error"], rel=1e-9)


def test_plain_arrays_give_the_bootstrap_of_the_analyses() -> None:
    study = FRESH[1]
    tables, public = study.tables(5)
    answer = ask_tables(Ipw("outcome", "treated", ("x1", "x2", "x3"), bootstrap=20, seed=3), tables, public).answer
    persons = np.array([f"{table.site}|{person}" for table in tables for person in table.persons.tolist()])
    made = federations([study.rows(5)])
    many = federations([study.rows(5)] * 20)
    differences, found = replicate("ipw", many, bootstrap_weights(persons, 3, 20).T)
    low, high = bootstrap_interval(differences, estimates("ipw", made), 0)
    assert found.all()
    assert low == pytest.approx(answer.numbers["bootstrap"]["low"], abs=1e-6)
    assert high == pytest.approx(answer.numbers["bootstrap"]["high"], abs=1e-6)


def test_a_meta_analysis_weighs_hospitals_by_their_variances_and_leaves_out_those_without_a_fit() -> None:
    rows = [SETTLED_ON[1].rows(seed) for seed in (1, 2)]
    found = meta_analysis(rows)
    estimates_of, errors = zip(*(own_estimate(rows[0], hospital) for hospital in range(4)), strict=True)
    weights = 1 / np.square(errors)
    assert found.hospitals[0] == 4
    assert found.difference[0] == pytest.approx(np.average(estimates_of, weights=weights), rel=1e-9)
    assert found.error[0] == pytest.approx(weights.sum() ** -0.5, rel=1e-9)
    hospitals, drawn = rows[0]
    all_treated = replace(drawn, treated=np.where(hospitals == 2, 1.0, drawn.treated))
    assert meta_analysis([(hospitals, all_treated)]).hospitals.tolist() == [3]


def own_estimate(rows: tuple[NDArray[np.intp], Drawn], hospital: int) -> tuple[float, float]:
    """One hospital's AIPW by statsmodels."""
    here = rows[0] == hospital
    a, y = rows[1].treated[here], rows[1].outcome[here]
    x = sm.add_constant(rows[1].covariates[here])
    e = sm.Logit(a, x).fit(disp=0, tol=1e-14).predict()
    model = sm.OLS(y, np.column_stack([x, a])).fit()
    one, zero = (model.predict(np.column_stack([x, np.full(len(a), arm)])) for arm in (1.0, 0.0))
    influence = one - zero + a / e * (y - one) - (1 - a) / (1 - e) * (y - zero)
    return float(influence.mean()), float(influence.std(ddof=1) / np.sqrt(len(a)))


def test_a_simulation_counts_the_intervals_that_hold_the_truth() -> None:
    found = simulated(replace(SETTLED_ON[1], draw=known_to_be_one), 2)
    assert {one.way for one in found} == {*WAYS, META}
    worked = Simulated("made", "aipw", (1.0, 3.0), (True, False), 2.0)
    assert worked.error == 1.0 and worked.cover == 0.5
    assert worked.cover_error == pytest.approx(0.3536, abs=1e-4)


def known_to_be_one(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """The same as ever, of which the truth is not drawn two million times."""
    return SETTLED_ON[1].draw(rng, sites[:2000])


def test_a_survey_takes_the_place_of_the_trials_untreated() -> None:
    trial = {"treat": [1.0, 1.0, 0.0], "re78": [5.0, 6.0, 7.0]}
    made = lalonde({"trial": trial, "survey": {"treat": [0.0, 0.0], "re78": [8.0, 9.0]}})
    together = np.concatenate([table.columns["re78"] for table in made["survey"][0]])
    assert sorted(together) == [5.0, 6.0, 8.0, 9.0]
    assert len(in_hospitals(trial, 2)[0]) == 2
