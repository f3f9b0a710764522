from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from common.analyses.kaplan_meier import KaplanMeier
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.asking.small_cells import held_back
from common.errors import AnalysisError, StudyError
from tests.common.analyses.brca import brca
from tests.common.analyses.patients import answered, patients


def everybody(times: list[float], events: list[float], **options: Any) -> Any:
    columns = {"time": np.array(times, dtype=np.float64), "event": np.array(events, dtype=np.float64)}
    records = Records(columns, np.arange(len(times)).astype(str), "all")
    return ask_tables(KaplanMeier("time", "event", **options), [records]).answer.numbers


def test_a_curve_worked_out_by_hand() -> None:
    """6 persons: deaths at 2, 4, 4, last seen at 3, 4 and 6. S(2) = 5/6, S(4) = 5/6 x 2/4."""
    numbers = everybody([2, 3, 4, 4, 4, 6], [1, 0, 1, 1, 0, 0])
    curve = numbers["groups"]["everybody"]
    assert numbers["times"] == [2, 4]
    assert curve["at_risk"] == [6, 4] and curve["events"] == [1, 2] and curve["censored"] == [0, 1, 2]
    assert np.allclose(curve["survival"], [5 / 6, 5 / 12], rtol=1e-15)
    # Greenwood: 1 / (6 x 5), then + 2 / (4 x 2)
    assert np.allclose(curve["standard_error"], np.array([5 / 6, 5 / 12]) * np.sqrt([1 / 30, 1 / 30 + 1 / 4]))
    assert curve["median"] == 4


def test_it_is_that_of_statsmodels_by_group() -> None:
    records = patients()
    answer = answered(KaplanMeier("time", "event", "sex", levels=("sex=f|m|x",)), records)
    assert list(answer.numbers["groups"]) == ["sex=f", "sex=m"]
    for sex in ("f", "m"):
        mine = records.words("sex") == sex
        peer = SurvfuncRight(records.numbers("time")[mine], records.numbers("event")[mine])
        ours = answer.numbers["groups"][f"sex={sex}"]
        at = np.isin(answer.numbers["times"], peer.surv_times)
        theirs = np.isin(peer.surv_times, answer.numbers["times"])
        assert np.allclose(np.array(ours["survival"])[at], peer.surv_prob[theirs], rtol=1e-12)
        error = np.array([np.nan if e is None else e for e in ours["standard_error"]])
        assert np.allclose(error[at], peer.surv_prob_se[theirs], rtol=1e-9, equal_nan=True)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1, max_size=12))
def test_times_are_found_to_the_last_bit(rows: list[tuple[float, bool]]) -> None:
    numbers = everybody([time for time, _ in rows], [float(event) for _, event in rows])
    assert numbers["times"] == sorted({time for time, event in rows if event})


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=12), st.sampled_from([0.5, 7.0, 30.0]))
@settings(max_examples=20)
def test_a_grid_rounds_times_up_to_its_multiples(days: list[int], width: float) -> None:
    numbers = everybody([float(day) for day in days], [1.0] * len(days), width=width)
    assert numbers["times"] == sorted({float(np.ceil(day / width) * width) for day in days})


def test_decimals_take_few_rounds() -> None:
    records = patients()
    tenths = replace(records, columns={**records.columns, "time": records.numbers("time") / 10})
    assert len(ask_tables(KaplanMeier("time", "event"), [tenths]).rounds) <= 5


def test_a_finer_grid_has_more_events_alone() -> None:
    coarse, fine = (answered(KaplanMeier("time", "event", width=width), patients()) for width in (60.0, 0.0))
    alone = [answer.numbers["disclosure"]["events_alone"] for answer in (coarse, fine)]
    assert alone[0][0] < alone[1][0]
    assert all(before >= after for before, after in zip(alone[1][-3:], alone[1][-2:], strict=False))
    assert fine.tables[-1].rows[0][0] == "as written" and coarse.tables[-1].rows[0][0] == 60


def test_a_mean_until_a_time_nobody_was_followed_to_is_not_made_up() -> None:
    curve = everybody([1, 2, 3], [1, 0, 1], until=2.5)["groups"]["everybody"]
    assert np.isclose(curve["restricted_mean"], 1 + 1.5 * 2 / 3)  # until 1 all, then two thirds
    assert np.isclose(curve["restricted_mean_error"], np.sqrt((1.5 * 2 / 3) ** 2 / 6))
    ended = everybody([1, 2, 3], [1, 0, 1], until=9)["groups"]["everybody"]
    assert np.isclose(ended["restricted_mean"], 1 + 2 * 2 / 3)
    assert "restricted_mean" not in everybody([1, 2, 3], [1, 0, 0], until=9)["groups"]["everybody"]


@pytest.mark.parametrize("interval", ["log-log", "log", "plain"])
def test_intervals_hold_the_curve(interval: str) -> None:
    curve = answered(KaplanMeier("time", "event", interval=interval), patients()).numbers["groups"]["everybody"]
    rows = zip(curve["low"], curve["survival"], curve["high"], strict=True)
    assert all(low is None or 0 <= low <= middle <= high <= 1 for low, middle, high in rows)


def test_nobody_with_an_event_is_an_answer() -> None:
    numbers = everybody([3, 5], [0, 0])
    assert numbers["times"] == [] and numbers["groups"]["everybody"]["median"] is None


@pytest.mark.parametrize(
    ("times", "events", "words"),
    [
        ([-1.0, 2], [1, 1], "1 rows have a time below 0"),
        ([1.0, 2], [1, 2], "neither 0 nor 1"),
        ([np.nan, np.nan], [1, 0], "none has a time"),
        ([1e300, 2], [1, 0], "use another unit"),
    ],
)
def test_what_cannot_be_is_refused(times: list[float], events: list[float], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        everybody(times, events)


@pytest.mark.parametrize("options", [{"width": -1.0}, {"until": -1.0}, {"interval": "logg"}, {"confidence": 1.0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        KaplanMeier("time", "event", **options)


def test_a_group_whose_words_nobody_named_is_refused() -> None:
    with pytest.raises(StudyError, match="groups of column 'sex' are not known"):
        answered(KaplanMeier("time", "event", "sex"), patients(20))


@pytest.mark.data
def test_survival_with_breast_cancer_is_that_of_lifelines(shared_data: Path) -> None:
    """lifelines 0.30.3, KaplanMeierFitter, and restricted_mean_survival_time of those above 60 years."""
    numbers = answered(KaplanMeier("T", "E"), brca(shared_data)).numbers
    curve, places = numbers["groups"]["everybody"], [numbers["times"].index(time) for time in (365, 991, 1993, 3959)]
    golden = {
        "at_risk": [923, 490, 226, 32],
        "survival": [0.9797442163452124, 0.9165209508778726, 0.8026840624065519, 0.4681543796069995],
        "low": [0.9687713914731914, 0.8931924878161928, 0.7621335101205088, 0.3722228015410395],
        "high": [0.9868875616444013, 0.9349401617149029, 0.8370697661520105, 0.5583009279955737],
    }
    for key, values in golden.items():
        assert np.allclose([curve[key][place] for place in places], values, rtol=1e-11), key
    assert curve["median"] == 3941 and len(numbers["times"]) == 146
    records = brca(shared_data)
    old = records.take(records.numbers("age_at_index") > 60)
    found = answered(KaplanMeier("T", "E", until=2000.0), old).numbers["groups"]["everybody"]
    assert np.isclose(found["restricted_mean"], 1763.6078206881189, rtol=1e-12)


def test_a_group_of_few_is_held_back_everywhere() -> None:
    records = patients(40)
    rare = np.where(np.arange(40) < 3, "x", records.words("sex"))
    asked = KaplanMeier("time", "event", "sex", levels=("sex=f|m|x",))
    shown = held_back(answered(asked, replace(records, columns={**records.columns, "sex": rare})), 5)
    hidden = {name for name, own in shown.numbers["groups"].items() if own is None}
    assert "sex=x" in hidden and len(hidden) == 2  # with one alone the sum would give it away
    for table in shown.tables[:3]:
        assert all(cell is None for row in table.rows if row[0] in hidden for cell in row[1:])
    assert {series.name for series in shown.figures[0].series}.isdisjoint(hidden)
    assert not any(name in word for word in shown.words for name in hidden)
