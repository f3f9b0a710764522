"""Grouping: what every group is told is what it would be told alone, in as many rounds as the slowest takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.analyses.mann_whitney import MannWhitney
from common.analyses.mean import Mean
from common.analyses.median import Median
from common.analyses.ttest import TTest
from common.asking.abilities import of_hospitals
from common.asking.analysis import Analysis, Public
from common.asking.grouped import Grouped
from common.asking.pooled import ask_tables
from common.errors import AnalysisError, StudyError
from wardround.testing.records import LEVELS, tiny_records

TABLES = tiny_records()
PUBLIC = Public(("north", "south", "west"), LEVELS)


@pytest.mark.parametrize(
    "analysis", [Mean("age"), Median("age"), TTest("age", "disease"), MannWhitney("pain", "treated")]
)
@pytest.mark.parametrize("by", ["sex", "ward", "site"])
def test_a_group_is_told_what_it_would_be_told_alone(analysis: Analysis, by: str) -> None:
    together = ask_tables(Grouped(analysis, by), TABLES, PUBLIC)
    longest = 0
    for level, found in together.answer.numbers["groups"].items():
        chosen = [
            one.take((one.words(by) == level) if by != "site" else np.full(len(one), one.site == level))
            for one in TABLES
        ]
        try:
            alone = ask_tables(analysis, chosen, PUBLIC)
        except AnalysisError as error:
            said = str(error)
        else:
            assert found == alone.answer.numbers
            longest = max(longest, len(alone.rounds))
            continue
        assert found is None and together.answer.numbers["refused"][level] == said
    assert len(together.rounds) == longest


def test_groups_of_nobody_and_rows_of_no_group_are_said() -> None:
    wards = ("ward=surgery|medicine|intensive|children",)
    answer = ask_tables(Grouped(Mean("age"), "ward", wards), TABLES, PUBLIC).answer
    assert answer.numbers["groups"]["children"] is None
    assert (
        answer.numbers["refused"]["children"] == "column 'age' is known of 0 rows; a mean with an interval needs 2."
    )
    assert answer.numbers["of_no_group"] == 3
    assert "3 rows are of no group by ward." in answer.words
    (table,) = answer.tables
    assert [row[0] for row in table.rows] == ["surgery", "medicine", "intensive"] and table.header[:2] == (
        "ward",
        "column",
    )


def test_groups_are_grouped_again() -> None:
    nested = ask_tables(Grouped(Grouped(Mean("age"), "sex"), "site"), TABLES, PUBLIC).answer
    (table,) = nested.tables
    assert table.header[:3] == ("site", "sex", "column") and len(table.rows) == 5
    assert "female" in nested.numbers["groups"]["west"]["refused"]
    north = nested.numbers["groups"]["north"]["groups"]["male"]
    alone = ask_tables(Mean("age"), [TABLES[0].take(TABLES[0].words("sex") == "male")], PUBLIC).answer.numbers
    assert north == alone


def test_figures_of_groups_are_one_with_a_series_each() -> None:
    answer = ask_tables(Grouped(TTest("age", "disease"), "sex"), TABLES, PUBLIC).answer
    (figure,) = answer.figures
    assert [one.name for one in figure.series] == ["female: mean age", "male: mean age"]


def test_a_row_moves_what_is_stacked_by_no_more_than_a_part() -> None:
    ((query, _),) = ask_tables(Grouped(Mean("age"), "ward"), TABLES, PUBLIC).rounds
    assert query.parts["counts n"].shape == (3,) and query.parts["counts n"].most_by_one == 1.0
    assert query.parts["reals powers"].shape == (6,) and query.parts["reals powers"].most_by_one is None


def test_grouping_by_hospital_tells_of_hospitals() -> None:
    assert of_hospitals(Grouped(Mean("age"), "site")) and of_hospitals(Grouped(Grouped(Mean("age"), "site"), "sex"))
    assert not of_hospitals(Grouped(Mean("age"), "sex"))
    assert Grouped(Mean("age"), "sex").discloses.startswith("Of each group by sex: how many rows")


def test_a_question_that_no_group_can_answer_is_refused_with_the_first_reason() -> None:
    empty = [replace(one.take(np.arange(0))) for one in TABLES]
    with pytest.raises(AnalysisError, match="no group by 'sex' has an answer; the first: column 'age' is known of 0"):
        ask_tables(Grouped(Mean("age"), "sex"), empty, PUBLIC)
    with pytest.raises(StudyError, match="Did you mean 'ward'"):
        ask_tables(Grouped(Mean("age"), "wrad"), TABLES, PUBLIC)


def test_estimates_of_groups_are_drawn_beside_each_other_where_the_analysis_draws_nothing() -> None:
    answer = ask_tables(Grouped(Mean("age"), "sex"), TABLES, PUBLIC).answer
    (figure,) = answer.figures
    (series,) = figure.series
    assert figure.kind == "points" and series.name == "mean"
    assert series.y == tuple(one["mean"] for one in answer.numbers["groups"].values())
    assert series.low == tuple(one["low"] for one in answer.numbers["groups"].values())
