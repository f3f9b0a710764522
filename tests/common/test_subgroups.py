"""Groups of persons: their cells, which of them may be told, and that sums of hospitals are those of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StudyError
from common.metrics.roc import with_auc
from common.metrics.subgroups import cells_of, names_of_cells, of_cell, opened
from common.study.report_settings import Report
from common.study.study import parse
from common.sums.mean import Mean, merge

STUDY = """
title = "Groups"
source = { name = "table", folder = "data", site = "centre", categorical.sex = ["f", "m"] }
task = "classification"
"""


def masks(*sizes: int, others: int = 0) -> np.ndarray:
    """Cells one after the other, then persons of none."""
    found = np.zeros((len(sizes), sum(sizes) + others), np.bool_)
    start = 0
    for cell, size in enumerate(sizes):
        found[cell, start : start + size] = True
        start += size
    return found


def test_a_small_cell_is_left_out_and_the_next_smallest_hides_it() -> None:
    (told,) = opened([masks(30, 12, 3)], 10)
    assert told.tolist() == [True, False, False]


def test_two_cells_of_which_one_is_small_are_both_left_out() -> None:
    (told,) = opened([masks(40, 2)], 10)
    assert told.tolist() == [False, False]


def test_small_cells_that_hide_each_other_leave_the_others_told() -> None:
    (told,) = opened([masks(30, 6, 6)], 10)
    assert told.tolist() == [True, False, False]


def test_persons_of_no_cell_are_hidden_like_a_small_cell() -> None:
    (told,) = opened([masks(30, 20, others=1)], 10)
    assert told.tolist() == [True, False]


def test_a_cell_within_one_of_another_column_is_left_out_where_they_differ_by_few() -> None:
    first, second = masks(20, 40), masks(18, 42)
    told = opened([first, second], 10)
    assert not (told[0][0] and told[1][0])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=40, max_size=40), min_size=1, max_size=3), st.integers(5, 12))
def test_no_two_told_sets_within_each_other_differ_by_few(columns: list[list[int]], least: int) -> None:
    every = [np.array([[value == cell for value in column] for cell in range(3)]) for column in columns]
    told = opened(every, least)
    sets = [np.ones(40, np.bool_)]
    for cells, kept in zip(every, told, strict=True):
        sets += [cells[k] for k in np.flatnonzero(kept)]
        sets += [~cells[kept].any(axis=0)] if kept.any() else []
    assert all(int(one.sum()) >= least or not one.any() for one in sets)
    for one in sets:
        for other in sets:
            if not (one & ~other).any():
                assert int((other & ~one).sum()) >= least or not (other & ~one).any()


def test_hospitals_cells_add_up_to_those_of_all_persons() -> None:
    scores = ("accuracy",)
    first = of_cell(0, 1, {"accuracy": Mean.of([1, 0, 1])}, 3, scores)
    second = of_cell(0, 1, {"accuracy": Mean.of([0])}, 1, scores)
    whole = of_cell(0, 1, {"accuracy": Mean.of([1, 0, 1, 0])}, 4, scores)
    assert merge([first, second]) == whole
    assert cells_of(whole)[0, 1]["accuracy"].value == 0.5
    assert set(whole) <= set(names_of_cells([2], scores))
    assert with_auc({**whole, "loss": Mean.of([2])}) == {"loss": 2}


def test_values_are_placed_in_words_or_bands_however_they_are_written() -> None:
    sex, age = Report(("sex: f, m", "age: 0-50, 50-70.5, 70.5-")).groupings
    assert [sex.place(word) for word in (" F", "m", "x", "")] == [0, 1, None, None]
    assert [age.place(value) for value in (0, "49.9", 50.0, "70.5", -1, "nan", "")] == [0, 0, 1, 2, None, None, None]
    assert Report(("stage: 1, 2",)).groupings[0].place("1.0") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sex", "its cells must be public"),
        ("age: 0-50, 40-60", "overlap"),
        ("age: 50-40", "ends above"),
        ("sex: f, F", "each once"),
        ("patients: a, b", "name a column"),
        (": a", "name a column"),
    ],
)
def test_cells_that_make_no_sense_are_refused(words: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        _ = Report((words,)).groupings


def test_a_least_cell_of_few_persons_is_refused() -> None:
    with pytest.raises(StudyError, match="least_cell"):
        Report(least_cell=2)


def test_a_study_takes_levels_from_its_source_and_asks_it_for_the_column() -> None:
    study = parse(STUDY, ['report.subgroups=["sex"]'])
    assert study.report.groupings[0].cells == ("f", "m")
    assert study.source.options["keep"] == ["sex"]
    assert parse(study.text) == study


def test_a_study_without_groups_reads_as_it_did_before() -> None:
    assert "report" not in parse(STUDY).json


def test_groups_are_refused_where_privacy_is_promised() -> None:
    private = ['report.subgroups=["sex"]', 'privacy={name="dpsgd", epsilon=4.0}', "strategy=fedsgd"]
    with pytest.raises(StudyError, match=r"report\.subgroups"):
        parse(STUDY, private)
