"""Cox regression and Harrell's index: pairs counted by hand and by slow loops, the likelihood term by term."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from client.evaluation import evaluate
from client.training import Trainer
from common.data.cases import Batch, Cases, Shape
from common.errors import ImageError, StudyError
from common.learning.client_work import Training
from common.metrics.concordance import Concordance
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import merge


class Answers(nn.Module):
    """Answers what it is shown."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs


def cox() -> Any:
    return TASKS.build(Entry("cox"))


def batch(risks: Any, times: Any, events: Any) -> Batch:
    targets = torch.tensor(np.column_stack([times, events]), dtype=torch.float32)
    return Batch.of(torch.tensor(risks, dtype=torch.float32)[:, None], targets, tuple(map(str, range(len(risks)))))


def by_pairs(risks: Any, times: Any, events: Any) -> tuple[int, int, int]:
    counts = [0, 0, 0]
    for i in range(len(risks)):
        for j in range(len(risks)):
            if events[i] and i != j and (times[j] > times[i] or (times[j] == times[i] and not events[j])):
                counts[0 if risks[i] > risks[j] else 1 if risks[i] == risks[j] else 2] += 1
    return counts[0], counts[1], counts[2]


def test_pairs_of_four_patients_by_hand() -> None:
    found = Concordance.of([3, 2, 2, 1], [1, 2, 3, 3], [1, 1, 0, 1])
    assert (found.concordant, found.tied, found.discordant) == (4, 1, 1)
    assert found.index == pytest.approx(4.5 / 6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=25))
def test_pairs_are_those_of_a_loop_over_all(rows: list[tuple[int, int, bool]]) -> None:
    risks, times, events = ([row[place] for row in rows] for place in range(3))
    found = Concordance.of(risks, times, events)
    assert (found.concordant, found.tied, found.discordant) == by_pairs(risks, times, events)


def test_many_cases_are_worked_off_in_blocks_and_do_not_fill_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    risks, times, events = rng.integers(0, 50, 300), rng.integers(0, 90, 300), rng.integers(0, 2, 300)
    whole = Concordance.of(risks, times, events)
    monkeypatch.setattr("common.metrics.concordance.PAIRS_A_BLOCK", 1000)
    assert Concordance.of(risks, times, events) == whole
    assert Concordance(10**12, 0, 10**12).mean().value == 0.5


def test_hospitals_indices_merge_into_that_of_their_pairs() -> None:
    parts = [Concordance(3, 1, 2), Concordance(10, 0, 1), Concordance(0, 0, 0)]
    merged = merge({"c_index": part.mean()} for part in parts)["c_index"]
    assert merged.value == (parts[0] + parts[1] + parts[2]).index == 13.5 / 17


@pytest.mark.parametrize("bad", [([1, 2], [1], [1]), ([math.nan], [1], [1]), ([1], [math.nan], [1])])
def test_risks_that_cannot_be_ordered_are_refused(bad: Any) -> None:
    with pytest.raises(ImageError):
        Concordance.of(*bad)


def test_the_partial_likelihood_of_four_patients_by_hand() -> None:
    """Times 1, 2, 2, 3; the two at 2 are at risk together (Breslow); who was censored has no term."""
    risks = [0.5, -1.0, 0.25, 2.0]
    terms = [math.exp(risk) for risk in risks]
    expected = [
        math.log(sum(terms)) - risks[0],
        math.log(sum(terms[1:])) - risks[1],
        math.log(sum(terms[1:])) - risks[2],
        0.0,
    ]
    losses = cox().loss(Answers(), batch(risks, [1, 2, 2, 3], [1, 1, 1, 0]))
    assert losses.tolist() == pytest.approx(expected, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_losses_are_those_of_the_definition(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    risks, times, events = rng.normal(0, 3, count), rng.integers(0, 6, count), rng.integers(0, 2, count)
    losses = cox().loss(Answers(), batch(risks, times, events)).tolist()
    for i, loss in enumerate(losses):
        at_risk = [math.exp(risks[j]) for j in range(count) if times[j] >= times[i]]
        assert loss == pytest.approx((math.log(sum(at_risk)) - risks[i]) * events[i], rel=1e-4, abs=1e-4)


def patients(count: int, seed: int = 0) -> Cases:
    """Risk rises with the first of two features; the second says nothing."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 2)).astype(np.float32)
    times, left = rng.exponential(np.exp(-inputs[:, 0])), rng.exponential(2.0, count)
    targets = np.column_stack([np.minimum(times, left), times <= left]).astype(np.float32)
    return Cases.of(inputs, targets, np.array([f"p{index:04}" for index in range(count)]))


def test_training_finds_the_true_hazard_ratio() -> None:
    task, cases = cox(), patients(600)
    network = task.build_network(cases.shape)
    training = Training(steps=60, batch_size="full", learning_rate=1.0)
    small = cases.take(np.arange(200))
    Trainer(task, network, small, training, np.random.default_rng(0)).train()
    slopes = next(network.parameters())[0].tolist()
    assert slopes == pytest.approx([1, 0], abs=0.3)


def test_all_of_a_hospitals_cases_are_ranked_together_however_many() -> None:
    task, cases = cox(), patients(150)
    network = task.build_network(cases.shape)
    with torch.no_grad():
        risks = network.double()(torch.from_numpy(np.asarray(cases.inputs, np.float64)))[:, 0].float().numpy()
    targets = np.asarray(cases.targets)
    found = evaluate(task, network.float(), cases)["c_index"]
    concordant, tied, discordant = by_pairs(risks, targets[:, 0], targets[:, 1])
    assert found.value == pytest.approx((concordant + tied / 2) / (concordant + tied + discordant))
    assert found.weight == pytest.approx((concordant + tied + discordant) / 2**20)
    assert evaluate(task, network, cases.take(np.arange(0))) == {}


def test_hazards_by_interval_can_be_ranked_as_well() -> None:
    task = TASKS.build(Entry("survival", {"cuts": [1.0, 2.0], "scores": ["c_index"]}))
    rows = Batch.of(
        torch.tensor([[2.0, 2.0], [0.0, 0.0], [-2.0, -2.0]]),
        torch.tensor([[0.5, 1.0], [1.5, 1.0], [3.0, 0.0]]),
        ("a", "b", "c"),
    )
    assert task.scored_whole
    assert task.score(Answers(), rows)["c_index"].value == 1


def test_cases_of_classes_are_refused() -> None:
    with pytest.raises(StudyError, match="'cox' learns times and events"):
        cox().build_network(Shape((4,), 2))
