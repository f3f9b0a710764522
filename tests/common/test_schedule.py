"""The schedule against a table written by hand, and what stands outside it."""

from __future__ import annotations

import pytest

from common.study.schedule import FINAL_SPLITS, evaluated_split, evaluated_splits, final_round
from common.study.study import Study, parse

TEXT = """
title = "Tiny"
rounds = 7
source = { name = "phantom" }
task = { name = "segmentation" }
strategy = "fedavg"
aggregation = "plain"
"""


def study(every: int, split: str = "validation") -> Study:
    return parse(TEXT, [f"federation.evaluate_every={every}", f"federation.evaluate_split={split}"])


@pytest.mark.parametrize(
    ("every", "scored"),
    [
        (0, []),
        (1, [1, 2, 3, 4, 5, 6, 7]),
        (2, [1, 3, 5, 7]),
        (3, [1, 4, 7]),
        (4, [1, 5]),
        (7, [1]),
        (100, [1]),
    ],
)
def test_rounds_that_score_are_those_of_the_table(every: int, scored: list[int]) -> None:
    one = study(every)
    assert [number for number in range(1, 8) if evaluated_split(one, number)] == scored


@pytest.mark.parametrize("number", [-1, 0, 8, 9, 15])
def test_no_round_outside_the_study_scores_anything_between(number: int) -> None:
    assert evaluated_split(study(1), number) is None


def test_the_split_is_the_studys_and_the_last_model_is_scored_on_both() -> None:
    one = study(3, "test")
    assert evaluated_splits(one, 4) == ("test",)
    assert evaluated_splits(one, 5) == ()
    assert final_round(one) == 8
    assert evaluated_splits(one, 8) == FINAL_SPLITS == ("validation", "test")
    assert evaluated_splits(one, 9) == ()
