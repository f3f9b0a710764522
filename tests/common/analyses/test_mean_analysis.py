import numpy as np
import pytest
from scipy import stats

from common.analyses.mean import Mean
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError


def hospital(site: str, values: list[float]) -> Records:
    return Records({"age": np.array(values)}, np.array([f"{site}{i}" for i in range(len(values))]), site)


def test_the_mean_of_three_hospitals_is_that_of_all_rows() -> None:
    values = [61.0, 45.5, float("nan"), 70.25, 33.0, 58.0]
    asked = ask_tables(
        Mean("age"), [hospital("a", values[:1]), hospital("b", values[1:4]), hospital("c", values[4:])]
    )
    alone = ask_tables(Mean("age"), [hospital("all", values)])
    assert asked.answer == alone.answer
    known = [value for value in values if not np.isnan(value)]
    low, high = stats.t.interval(0.95, 4, np.mean(known), stats.sem(known))
    assert asked.answer.numbers["n"] == 5 and asked.answer.numbers["missing"] == 1
    assert np.allclose(
        [asked.answer.numbers[name] for name in ("mean", "low", "high")], [np.mean(known), low, high], rtol=1e-12
    )


def test_a_mean_of_nobody_is_refused_in_words() -> None:
    with pytest.raises(AnalysisError, match="'age' is known of 0 rows"):
        ask_tables(Mean("age"), [hospital("a", [])])
