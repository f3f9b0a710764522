"""Targets that are no classes: real numbers, and times with events."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error
from torch import nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.abilities import presented
from common.learning.score_names import statistic_names
from common.metrics.roc import with_auc
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import merge


class Answers(nn.Module):
    """Answers what it is shown, in float32 or float64."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs


def regression(**options: Any) -> Any:
    return TASKS.build(Entry("regression", {"center": 100, "spread": 20, **options}))


def survival(**options: Any) -> Any:
    return TASKS.build(Entry("survival", {"cuts": [1, 2], **options}))


def batch(inputs: Any, targets: Any) -> Batch:
    rows = torch.tensor(inputs, dtype=torch.float32)
    return Batch.of(rows, torch.tensor(targets, dtype=torch.float32), tuple(map(str, range(len(rows)))))


def shown(task: Any, *batches: Batch) -> Any:
    return presented(task, with_auc(merge(task.score(Answers(), one) for one in batches)))


def test_two_cases_by_hand() -> None:
    found = shown(regression(), batch([[0.5], [-1.0]], [120.0, 80.0]))
    assert found == pytest.approx(
        {"skill": 1 - 0.25 / 2, "loss": 0.125, "mae": 5, "rmse": math.sqrt(50), "r2": 0.875}
    )


def test_huber_is_squared_near_and_straight_afar() -> None:
    losses = regression(error="huber").loss(Answers(), batch([[0.5], [3.0]], [100.0, 100.0]))
    assert losses.tolist() == pytest.approx([0.25, 2 * 3 - 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 3))
def test_scores_of_hospitals_merge_into_those_of_scikit_learn_on_all_cases(seed: int, count: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    truth, answers = rng.normal(110, 15, count), rng.normal(105, 20, count)
    of = np.array_split(np.arange(count), parts)
    batches = [batch(((answers[own] - 100) / 20)[:, None], truth[own]) for own in of]
    found = shown(regression(), *batches)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, answers), rel=1e-4)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, answers), rel=1e-4)
    assert found["r2"] == pytest.approx(r2_score(truth, answers), rel=1e-3, abs=1e-3)


def test_who_always_answers_the_center_has_no_skill_and_who_is_right_has_all() -> None:
    assert shown(regression(), batch([[0.0], [0.0]], [130.0, 80.0]))["skill"] == 0
    assert shown(regression(), batch([[1.5], [-1.0]], [130.0, 80.0]))["skill"] == 1


def test_errors_beyond_measure_do_not_overflow_a_sum() -> None:
    found = shown(regression(), batch([[1e30]] * 2000, [100.0] * 2000))
    assert found["mae"] == 16 * 20


def test_targets_that_do_not_vary_have_no_r2() -> None:
    assert shown(regression(), batch([[0.1], [0.2]], [90.0, 90.0]))["r2"] is None


def test_the_likelihood_of_each_course_by_hand() -> None:
    half, quarter = 0.0, math.log(0.25 / 0.75)
    courses = [(0.5, 1), (1.5, 1), (1.2, 0), (1.6, 0), (0.4, 0), (5, 1), (2, 0), (0, 1)]
    losses = survival().loss(Answers(), batch([[half, quarter]] * len(courses), courses))
    expected = [0.5, 0.5 * 0.25, 0.5, 0.5 * 0.75, 1, 0.5 * 0.75, 0.5 * 0.75, 0.5]
    assert losses.exp().reciprocal().tolist() == pytest.approx(expected, rel=1e-5)


def test_brier_counts_only_what_is_known() -> None:
    found = shown(survival(), batch([[0.0, 0.0]] * 3, [(0.5, 1), (1.5, 0), (3, 0)]))
    squares = [0.25, 0.0625, 0.25, 0.25, 0.5625]
    assert found["brier"] == pytest.approx(sum(squares) / 5)


def test_auc_is_that_of_scikit_learn_at_the_last_cut() -> None:
    rng = np.random.default_rng(1)
    logits, times, events = rng.normal(size=(400, 2)), rng.uniform(0, 4, 400), rng.integers(0, 2, 400)
    found = shown(survival(scores=["auc"]), batch(logits, np.column_stack([times, events])))
    happened = (events == 1) & (times <= 2)
    known = happened | (times >= 2)
    risk = 1 - (1 / (1 + np.exp(logits))).prod(axis=1)
    assert abs(found["auc"] - roc_auc_score(happened[known], risk[known])) <= found["auc_error"] + 1e-9


@pytest.mark.parametrize("name", ["classification", "segmentation"])
def test_a_task_of_classes_refuses_numbers_and_says_what_learns_them(name: str) -> None:
    with pytest.raises(StudyError, match="'regression'"):
        TASKS.build(Entry(name)).build_network(Shape((1, 32, 32), 0))


@pytest.mark.parametrize("make", [regression, survival])
def test_a_task_of_numbers_refuses_classes(make: Any) -> None:
    with pytest.raises(StudyError, match="2 classes"):
        make().build_network(Shape((4,), 2))


@pytest.mark.parametrize("options", [{"spread": 0}, {"error": "hubber"}, {"scores": ["maee"]}])
def test_constants_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        regression(**options)


@pytest.mark.parametrize("cuts", [[], [2, 1], [1, 1], [0, 1], [-1, 2]])
def test_cuts_must_rise_from_above_zero(cuts: list[float]) -> None:
    with pytest.raises(StudyError):
        survival(cuts=cuts)


@pytest.mark.parametrize("make", [regression, survival])
def test_the_names_of_scores_are_known_before_any_case(make: Any) -> None:
    task = make()
    network = task.build_network(Shape((3,), 0))
    targets = [100.0, 90.0] if task.headline == "skill" else [(1.0, 1.0), (0.5, 0.0)]
    assert statistic_names(task, Shape((3,), 0)) == tuple(
        sorted(task.score(network, batch([[0.1] * 3] * 2, targets)))
    )
