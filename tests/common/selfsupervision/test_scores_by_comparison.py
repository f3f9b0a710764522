"""Scores of tasks whose cases are compared: terms a case, in blocks that follow from the cases alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from client.evaluation import answers, evaluate, evaluate_patients
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.device import exact_copy, one_exact_copy
from common.learning.judging import judge, judge_groups, taken
from common.learning.parameters import new_network
from common.learning.tasks import _contrasted
from common.metrics.intervals import intervals_of, with_intervals
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import UNITS_PER_ONE, Mean, means_of, means_of_groups, merge

ENCODER = {"network": {"name": "groupnorm_cnn", "channels": 2}, "projection": 4}


def images(count: int, patients: int) -> Cases:
    values = np.random.default_rng(0).random((count, 1, 8, 8), np.float32)
    return Cases.of(values, np.zeros(count, np.float32), [f"p{index % patients}" for index in range(count)])


def made(name: str, count: int = 14, patients: int = 7) -> tuple[Any, nn.Module, Cases]:
    task, cases = TASKS.build(Entry(name, dict(ENCODER))), images(count, patients)
    return task, new_network(task, cases.shape, 1), cases


@pytest.mark.parametrize("name", ["simclr", "triplet"])
def test_patients_terms_add_up_to_the_score_of_all_and_have_intervals(name: str) -> None:
    task, network, cases = made(name)
    whole, singly = evaluate(task, network, cases), evaluate_patients(task, network, cases)
    assert list(singly) == sorted(set(cases.patients))
    assert merge(singly.values()) == whole
    told = evaluate(task, network, cases, with_intervals(whole))
    assert {name: told[name] for name in whole} == whole
    assert set(intervals_of(told)) == {"explained", "loss"}


@pytest.mark.parametrize("name", ["simclr", "triplet"])
def test_who_is_compared_with_whom_follows_from_the_cases_and_not_from_their_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, network, cases = made(name)
    turned = cases.take(np.random.default_rng(1).permutation(len(cases)))
    assert evaluate(task, network, turned) == evaluate(task, network, cases)
    whole = evaluate(task, network, cases)["loss"].value
    monkeypatch.setattr(_contrasted, "MOST_COMPARED", 5)
    assert evaluate(task, network, turned) == evaluate(task, network, cases)
    assert evaluate(task, network, cases)["loss"].value != whole


def test_blocks_are_as_few_as_they_may_be_and_of_almost_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_contrasted, "MOST_COMPARED", 4)
    sizes = [len(block) for block in _contrasted._blocks(torch.arange(9.0))]
    assert sizes == [3, 3, 3]


def test_very_many_cases_are_scored_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a block is ever compared, and no more than a batch passes the network."""
    task, network, cases = made("simclr", 150, 150)
    compared: list[int] = []
    monkeypatch.setattr(_contrasted, "MOST_COMPARED", 40)
    whole = type(task).compared
    monkeypatch.setattr(type(task), "compared", lambda own, a, b: compared.append(len(a)) or whole(own, a, b))
    network.register_forward_pre_hook(lambda _, given: compared.append(len(given[0]) // 2))
    evaluate(task, network, cases)
    assert max(compared) <= 64 and sum(compared[-4:]) == 150


def test_a_case_that_has_nobody_to_be_compared_with_scores_nothing() -> None:
    task, network, cases = made("simclr")
    alone = evaluate(task, network, cases.take(np.arange(1)))
    assert alone["explained"] == alone["loss"] == Mean()


def test_the_trivial_loss_explains_nothing() -> None:
    for name in ("simclr", "triplet"):
        task, same = made(name)[0], torch.ones(5, 4, dtype=torch.float64)
        answered = {"first_view": same, "second_view": same, "features": same, "order": same[:, 0]}
        assert judge(task, answered)["explained"].value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["cox", "survival"])
def test_what_was_answered_once_scores_any_sample_as_if_it_were_asked_anew(name: str) -> None:
    rng = np.random.default_rng(2)
    targets = np.stack([rng.uniform(1, 5, 20), rng.integers(0, 2, 20)], 1).astype(np.float32)
    cases = Cases.of(rng.normal(size=(20, 3)).astype(np.float32), targets, [f"p{i % 9}" for i in range(20)])
    options: dict[str, Any] = (
        {"cuts": [2.0, 4.0], "scores": ["c_index", "brier", "auc"]} if name == "survival" else {}
    )
    task = TASKS.build(Entry(name, options))
    network = new_network(task, cases.shape, 1)
    answered = answers(task, network, cases)
    rows = rng.integers(0, 20, 30)
    assert judge(task, taken(answered, rows)) == evaluate(task, network, cases.take(rows))
    group = rng.integers(0, 4, 20)
    singly = judge_groups(task, answered, group, 4)
    assert singly == [evaluate(task, network, cases.take(np.flatnonzero(group == one))) for one in range(4)]


def test_a_network_is_copied_once_while_nobody_changes_it() -> None:
    network, other = nn.Linear(2, 1), nn.Linear(2, 1)
    with one_exact_copy(network):
        assert exact_copy(network) is exact_copy(network)
        assert exact_copy(other) is not exact_copy(other)
    with torch.no_grad():
        network.weight.fill_(7.0)
    assert exact_copy(network).weight.tolist() == [[7.0, 7.0]]


def test_means_of_groups_are_those_of_each_group_and_nan_counts_nothing() -> None:
    rng = np.random.default_rng(3)
    columns = {"a": rng.normal(size=50), "huge": rng.uniform(1e5, 3e5, 50)}
    columns["a"][::7] = np.nan
    group = rng.integers(0, 6, 50)
    found = means_of_groups(columns, group, 6)
    assert found == [means_of({name: one[group == k] for name, one in columns.items()}) for k in range(6)]
    known = [round(value * UNITS_PER_ONE) for value in columns["a"] if not np.isnan(value)]
    assert merge({"a": one["a"]} for one in found)["a"] == Mean(sum(known), len(known) * UNITS_PER_ONE)


def test_a_task_says_what_its_scores_are_made_of_or_does_not_make_them_of_it() -> None:
    class Half(type(TASKS.build(Entry("cox")))):  # type: ignore[misc]
        answered = None

    from common.learning.declared_abilities import check_declared

    with pytest.raises(StudyError, match="has judged and no answered"):
        check_declared(Half(), "half")
