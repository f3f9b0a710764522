from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from statsmodels.duration.survfunc import survdiff

from common.analyses.logrank import Logrank
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError
from tests.common.analyses.brca import brca
from tests.common.analyses.patients import LEVELS, answered, hospitals, patients


def test_a_test_worked_out_by_hand() -> None:
    """Deaths at 1 (a), 2 (b) and 3 (a), nobody lost. Expected of a: 1/2 + 1/3 + 1/2; variance 1/4 + 2/9 + 1/4."""
    columns = {"t": np.array([1.0, 3, 2, 4]), "e": np.array([1.0, 1, 1, 0]), "g": np.array(["a", "a", "b", "b"])}
    numbers = answered_plain(Records(columns, np.arange(4).astype(str), "all"))
    assert np.isclose(numbers["groups"]["g=a"]["expected"], 4 / 3)
    assert np.isclose(numbers["statistic"], (2 - 4 / 3) ** 2 / (13 / 18))


def answered_plain(records: Records) -> dict[str, object]:
    return dict(ask_tables(Logrank("t", "e", "g", levels=("g=a|b",)), [records]).answer.numbers)


@pytest.mark.parametrize(("group", "strata"), [("sex", ""), ("stage", ""), ("stage", "sex")])
def test_it_is_that_of_statsmodels(group: str, strata: str) -> None:
    records = patients()
    numbers = answered(Logrank("time", "event", group, strata=strata, levels=LEVELS), records).numbers
    by = records.words(strata) if strata else None
    peer = survdiff(records.numbers("time"), records.numbers("event"), records.words(group), strata=by)
    assert np.allclose([numbers["statistic"], numbers["p"]], peer, rtol=1e-9)


def test_hospitals_as_strata_are_a_column_of_their_names() -> None:
    records = patients()
    of_hospitals = [records.take(records.words("hospital") == name) for name in ("a", "b", "c")]
    asked = ask_tables(Logrank("time", "event", "stage", strata="site", levels=LEVELS), of_hospitals)
    assert len(asked.rounds) == 1 and asked.rounds[0][0].parts.keys().isdisjoint({"censored"})
    levels = (*LEVELS, "hospital=a|b|c")
    column = answered(Logrank("time", "event", "stage", strata="hospital", levels=levels), records)
    assert np.isclose(asked.answer.numbers["statistic"], column.numbers["statistic"], rtol=1e-12)


def test_a_hospital_without_an_event_and_a_group_of_nobody_change_nothing() -> None:
    records = patients()
    calm = np.where(records.words("hospital") == "a", 0.0, records.numbers("event"))
    records = replace(records, columns={**records.columns, "event": calm})
    numbers = answered(Logrank("time", "event", "sex", levels=("sex=x|f|m",)), records).numbers
    peer = survdiff(records.numbers("time"), calm, records.words("sex"))
    assert np.isclose(numbers["statistic"], peer[0], rtol=1e-9) and list(numbers["groups"]) == ["sex=f", "sex=m"]


def test_no_event_and_one_group_are_refused() -> None:
    records = patients(30)
    calm = replace(records, columns={**records.columns, "event": np.zeros(30)})
    with pytest.raises(AnalysisError, match="nobody of 30 had the event"):
        answered(Logrank("time", "event", "sex", levels=LEVELS), calm)
    with pytest.raises(AnalysisError, match="somebody is in 1 of them"):
        answered(Logrank("time", "event", "sex", levels=LEVELS), records.take(records.words("sex") == "f"))
    with pytest.raises(AnalysisError, match="time below 0"):
        ask_tables(
            Logrank("age", "event", "sex", strata="site", levels=LEVELS),
            [replace(records, columns={**records.columns, "age": -records.numbers("age")})],
        )


@pytest.mark.data
def test_weighted_tests_with_breast_cancer_are_those_of_lifelines(shared_data: Path) -> None:
    """lifelines 0.30.3, multivariate_logrank_test by the decade of age, modulo 3."""
    golden = {
        "logrank": 0.45008534458014254,
        "wilcoxon": 0.028626887703328423,
        "tarone-ware": 0.2174404530857577,
        "peto": 0.49599989561537927,
    }
    for weights, statistic in golden.items():
        asked = Logrank("T", "E", "third", weights, levels=("third=a|b|c",))
        found = ask_tables(asked, hospitals(brca(shared_data))).answer.numbers
        assert np.isclose(found["statistic"], statistic, rtol=1e-11), weights
