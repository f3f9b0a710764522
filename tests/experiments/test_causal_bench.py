"""The benchmark of effects: its real patients as documented, its made ones as they are meant."""

from pathlib import Path

import numpy as np
import pytest

from common.analyses.aipw import Aipw
from common.analyses.subgroup_effects import SubgroupEffects
from common.asking.answer import Answer
from common.asking.pooled import ask_tables
from common.errors import SourceError
from experiments.benchmarks._causal_data import HEART_COVARIATES, HEART_LEVELS, Made, heart, in_hospitals, lalonde
from experiments.benchmarks._causal_designs import MADE
from experiments.benchmarks._causal_simulation import META, Simulated, simulated
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
    for study in MADE:
        tables, public = study.tables(1)
        assert len(tables) == study.hospitals == len(public.sites)
        assert all(study.fewest <= len(table) <= study.most for table in tables)
        assert {"outcome", "treated", "x1", "x2"} <= set(tables[0].columns)
        assert np.array_equal(tables[0].columns["x1"], study.tables(1)[0][0].columns["x1"])


def test_a_simulation_counts_the_intervals_that_hold_the_truth() -> None:
    found = simulated(MADE[1], 2)
    assert {one.way for one in found} == {"standardisation", "ipw", "aipw", META}
    worked = Simulated("made", "aipw", (1.0, 3.0), (True, False), 2.0)
    assert worked.error == 1.0 and worked.cover == 0.5
    assert worked.cover_error == pytest.approx(0.3536, abs=1e-4)


def test_a_survey_takes_the_place_of_the_trials_untreated() -> None:
    trial = {"treat": [1.0, 1.0, 0.0], "re78": [5.0, 6.0, 7.0]}
    made = lalonde({"trial": trial, "survey": {"treat": [0.0, 0.0], "re78": [8.0, 9.0]}})
    together = np.concatenate([table.columns["re78"] for table in made["survey"][0]])
    assert sorted(together) == [5.0, 6.0, 8.0, 9.0]
    assert len(in_hospitals(trial, 2)[0]) == 2
