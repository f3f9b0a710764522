"""Few persons in what is shown: held back, and not to be worked out from what is left."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.analyses.cross_table import CrossTable
from common.analyses.histogram import Histogram
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.mean import Mean
from common.asking.analysis import Public
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.grouped import Grouped
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.asking.small_cells import WITHHELD, held_back, hidden_cells
from server.asking.words import answer_table


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ([20, 30, 40], [0, 0, 0]),
        ([20, 3, 40], [1, 1, 0]),
        ([20, 3, 4, 40], [1, 1, 1, 0]),
        ([20, 6, 4, 40], [0, 1, 1, 0]),
        ([20, 0, 40], [0, 0, 0]),
        ([[20, 3], [30, 40]], [[1, 1], [1, 1]]),
        ([[50, 3, 40], [30, 40, 20], [60, 70, 80]], [[0, 1, 1], [0, 1, 1], [0, 0, 0]]),
    ],
)
def test_cells_that_are_held_back(counts: list[int], hidden: list[int]) -> None:
    assert hidden_cells(np.array(counts), 10).astype(int).tolist() == hidden


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=2, max_size=3))
def test_every_hidden_cell_could_be_another_number(counts: list[list[int]]) -> None:
    """The oracle: a move along a closed walk of hidden cells keeps all sums; each hidden cell must be on one."""
    table = np.array(counts)
    hidden = hidden_cells(table, 5)
    assert hidden[(table > 0) & (table < 5)].all()
    if not hidden.any() or hidden.all():
        return
    places = [tuple(place) for place in np.argwhere(hidden).tolist()]
    movable: set[tuple[int, ...]] = set()
    for steps in product((-1, 0, 1), repeat=len(places)) if len(places) <= 7 else ():
        moved = np.zeros_like(table)
        for place, step in zip(places, steps, strict=True):
            moved[place] = step
        if not moved.sum(axis=0).any() and not moved.sum(axis=1).any():
            movable |= {place for place, step in zip(places, steps, strict=True) if step}
    assert len(places) > 7 or movable == set(places)


def people() -> Records:
    """30 women and 3 men in three wards."""
    sex = np.array(["f"] * 30 + ["m"] * 3)
    ward = np.array((["east"] * 12 + ["west"] * 18) + ["east", "east", "west"])
    return Records({"sex": sex, "ward": ward, "age": np.arange(33.0)}, np.array([f"p{i}" for i in range(33)]), "A")


PUBLIC = Public(("A",), {"sex": ("f", "m"), "ward": ("east", "west")})


def answered(analysis: object) -> Answer:
    return ask_tables(analysis, [people()], PUBLIC).answer  # type: ignore[arg-type]


def test_a_small_group_takes_another_with_it_in_table_numbers_words_and_figures() -> None:
    whole = answered(Grouped(Mean("age"), "sex"))
    shown = held_back(whole, 10)
    assert held_back(whole, 1) == whole and shown.numbers[WITHHELD] == 2
    assert shown.numbers["groups"] == {"f": None, "m": None}
    assert all(cell is None for row in shown.tables[0].rows for cell in row[1:])
    assert "2 cells of fewer than 10 rows" in shown.tables[0].note
    assert not [word for word in shown.words if word.startswith("sex ")]


def test_a_cross_tables_cells_and_shares_go_together() -> None:
    shown = held_back(answered(CrossTable("sex", "ward")), 10)
    assert shown.numbers["counts"] == [[None, None], [None, None]]
    assert [row[1:3] for row in shown.tables[0].rows] == [(None, None), (None, None), (14, 19)]
    assert all(cell is None for row in shown.tables[1].rows for cell in row[1:3])


def test_a_histogram_hides_bars_as_well() -> None:
    shown = held_back(answered(Histogram("age", (0.0, 15.0, 30.0, 40.0))), 10)
    assert shown.numbers["counts"] == [None, 15, None]
    assert shown.figures[0].series[0].y == (None, 15.0, None)
    assert shown.tables[0].rows[1][1] == 15 and shown.tables[0].rows[2][1] is None


def test_of_too_few_nothing_is_shown() -> None:
    few = ask_tables(Mean("age"), [people().take(np.arange(4))]).answer
    assert held_back(few, 10).numbers == {WITHHELD: 1} and held_back(few, 10).tables == ()
    many = ask_tables(Mean("age"), [people()]).answer
    assert held_back(many, 10) == many


def followed(events: list[int]) -> Answer:
    """40 persons, of whom so many have the event at times 1, 2 and so on; the others are seen until 99."""
    times = np.repeat(np.arange(1.0, len(events) + 1), events)
    every = np.concatenate([times, np.full(40 - len(times), 99.0)])
    came = np.concatenate([np.ones(len(times)), np.zeros(40 - len(times))])
    rows = Records({"time": every, "died": came}, np.array([f"p{i}" for i in range(40)]), "A")
    return ask_tables(KaplanMeier("time", "died"), [rows], PUBLIC).answer


def test_a_curve_shows_no_step_of_few_persons_and_no_end_of_few() -> None:
    shown = held_back(followed([3, 4, 10, 6, 14]), 5)
    assert shown.figures[0].series[0].x == (0.0, 2.0, 3.0, 4.0)
    own = shown.numbers["groups"]["everybody"]
    assert own["events"] == [None, None, 10, 6, 14] and own["at_risk"] == [None, 37, 33, 23, None]
    assert [one is None for one in own["survival"]] == [True, False, False, False, True]
    assert shown.numbers[WITHHELD] >= 2


def test_persons_behind_a_cell_decide_and_are_never_shown() -> None:
    table = Table("At risk", ("time", "0", "5"), (("all", 40, 3),), "", ((0, 40, 3),))
    shown = held_back(Answer({}, (table,), (), ("all: 3 are left.", "all: 40 came.")), 5)
    assert shown.tables[0].rows == (("all", 40, None),) and shown.words == ("all: 40 came.",)
    assert "persons" not in answer_table(shown)["tables"][0]
    assert held_back(Answer({}, (table,)), 3).tables[0].rows == table.rows


def test_bars_of_few_persons_are_blank_and_so_are_their_numbers() -> None:
    bars = Figure("bars", "Chance", "chance", "rows", (Series("treated", ("a", "b"), (3.0, 30.0), persons=(3, 30)),))
    shown = held_back(Answer({"overlap": {"chance_treated": [3, 30]}}, (), (bars,)), 10)
    assert shown.figures[0].series[0].y == (None, 30.0) and shown.numbers[WITHHELD] == 1
    assert shown.numbers["overlap"]["chance_treated"] == [None, 30]
