"""Options of training, own models and what comes after a run, against what is promised of a patient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.clipped_sums import clipped_sum
from client.clipping import CaseLoss
from client.normalised_updates import fair, normalised
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.metrics.intervals import intervals_of, patient_sums
from common.metrics.roc import ScoreHistogram
from common.study.catalogue import STRATEGIES
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse
from common.sums.mean import Mean, merge
from common.sums.update import Update
from common.wire.train_requests import Order
from experiments.attack import UNTRIED
from experiments.attacks.cheating.imprint import carries
from experiments.attacks.inversion.updates import captured_updates
from experiments.audit.records import Claim, Trial
from experiments.observation import Observation, Single
from experiments.running.bootstrap import differences, intervals
from experiments.running.patient_scores import PatientScores
from experiments.study_view import study_facts
from server.evaluation_details import details
from server.not_covered import not_covered
from tests.experiments.judging import judged

COUPLED = """
import torch
from torch import nn
from torch.nn import functional as F

class ByHand(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layer = nn.Linear(features, classes)
    def forward(self, x):
        return self.layer((x - x.mean(0)) / (x.std(0, unbiased=False) + 1e-3))

class ByFunction(ByHand):
    def forward(self, x):
        return self.layer(F.batch_norm(x, None, None, training=True) if len(x) > 1 else x)

class Keeps(ByHand):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.seen = 0.0
    def forward(self, x):
        if self.training:
            self.seen = 0.5 * self.seen + 0.5 * x.detach().mean(0)
        return self.layer(x - self.seen)

class Buffered(ByHand):
    def __init__(self, features, classes):
        super().__init__(features, classes)
        self.register_buffer("seen", torch.zeros(features))
    def forward(self, x):
        if self.training:
            self.seen.mul_(0.5).add_(x.detach().mean(0), alpha=0.5)
        return self.layer(x - self.seen)

def sometimes(logits, targets):
    own = F.cross_entropy(logits, targets, reduction="none")
    return own * (-1.0 if logits.abs().max() > 50 else 1.0)
"""
TEACHER = """
from dataclasses import dataclass
from typing import ClassVar
from common.learning.tasks.segmentation import Segmentation

@dataclass(frozen=True)
class Taught(Segmentation):
    companion: ClassVar[tuple[str, ...]] = ("teacher",)
"""
CLIP = 0.1
FEATURES, PATIENTS = 5, 20


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


def an_outlier_among(patients: int) -> Cases:
    """Inputs about 1, and of the last patient 1,000."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(1, 1, (patients, FEATURES)).astype(np.float32)
    inputs[-1] = 1e3
    names = np.array([f"p{index:02d}" for index in range(patients)])
    return Cases.of(inputs, rng.integers(0, 2, patients), names, ("0", "1"))


@pytest.mark.parametrize("name", ["ByHand", "ByFunction", "Keeps", "Buffered", "sometimes"])
def test_own_code_that_couples_cases_moves_the_sum_of_a_promise_by_one_clip_at_most(
    name: str, tmp_path: Path
) -> None:
    """Before: up to 12 clips, at a promised epsilon."""
    (tmp_path / "own.py").write_text(COUPLED)
    entry = Entry(f"{tmp_path / 'own.py'}:{name}")
    task = Classification(entry) if name[0].isupper() else Classification(Entry("logistic"), own_loss=entry)
    cases = an_outlier_among(PATIENTS)
    units = [cases.batch(np.array([index])) for index in reversed(range(PATIENTS))]
    sums = [
        clipped_sum(CaseLoss(task, new_network(task, Shape((FEATURES,), 2), 0)), some, CLIP)
        for some in (units, units[1:])
    ]
    assert np.linalg.norm(sums[0] - sums[1]) <= CLIP


PROMISE = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-4}'
PHANTOM = 'title="T"\nrounds=2\nengine="inline"\nsource={name="phantom"}\ntask={name="segmentation"}\n'


def test_no_score_without_noise_decides_how_long_a_promise_trains() -> None:
    for setting in ("federation.stop_at_score=0.5", "stopping.patience=2"):
        with pytest.raises(StudyError, match="which no noise covers"):
            parse(PHANTOM, [PROMISE, setting])
        parse(PHANTOM, [setting])


def test_beside_a_promise_it_is_said_what_the_model_it_begins_from_knows() -> None:
    plain = not_covered("patient", "hospital", "sum", None, False)
    begun = not_covered("patient", "hospital", "sum", None, False, started=True, squares=True)
    assert not any("begins from" in row["what"] for row in plain)
    assert any("begins from" in row["what"] and "bounded by nothing" in row["why"] for row in begun)
    assert any("final_intervals" in row["what"] for row in begun)


def test_whoever_approves_is_told_what_leaves_before_any_round_and_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(TEACHER)
    study = parse(PHANTOM, [f'task.name="{tmp_path / "own.py"}:Taught"'])
    told = " ".join(study_facts(study))
    assert "its companion is exchanged in every round (teacher)" in told
    assert "digest of the names of a table's columns" in told and "are of each class" in told
    private = " ".join(study_facts(parse(PHANTOM, [PROMISE, "federation.expected_patients=9"])))
    assert "are of each class" not in private and "how many cases" not in private


def of_persons(sizes: Sequence[int], values: Sequence[float]) -> PatientScores:
    persons = tuple((f"h{place}", f"p{one}") for place, size in enumerate(sizes) for one in range(size))
    means = tuple({"dice": Mean.of([value])} for value in values)
    return PatientScores(Classification(), persons, means, (), "test")


def test_five_hospitals_with_one_patient_each_do_not_prove_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: each was in every sample, and the interval had no width: it held the truth in 0 of 200 repetitions."""
    monkeypatch.setattr("experiments.running.bootstrap.SAMPLES", 500)
    rng, held, truth = np.random.default_rng(0), 0, 0.1
    for _ in range(40):
        first = rng.normal(0, 0.1, 5)
        second = first + truth + rng.normal(0, 0.1, 5)
        one, other = (of_persons([1] * 5, values.tolist()) for values in (first, second))
        found = differences(one, other, rng)["dice"]
        held += found.low <= truth <= found.high
    assert held >= 34


def test_of_what_never_varied_and_of_a_few_persons_no_interval_is_told() -> None:
    """Before: 1 to 1 for five right answers, and for one person the value twice."""
    rng = np.random.default_rng(0)
    assert intervals(of_persons([5], [1.0] * 5), rng) == {}
    assert intervals(of_persons([4], [0.1, 0.3, 0.5, 0.8]), rng) == {}
    assert differences(of_persons([9], [1.0] * 9), of_persons([9], [1.0] * 9), rng) == {}


def scoring(*scores: str) -> Study:
    return parse(
        f'title = "Scored"\nsource = "phantom"\ntask = {{ name = "classification", scores = {list(scores)} }}'
    )


def test_cases_of_one_patient_do_not_count_as_many_in_an_interval_of_ranks() -> None:
    """Before: with ten alike cases a patient the area's 95 % interval held the truth in half of all repetitions."""
    rng = np.random.default_rng(0)
    ill = np.repeat(rng.random(30) < 0.5, 2)
    odds = rng.normal(size=60) + ill
    histogram = ScoreHistogram.of(odds, ill).statistics()
    right = [{"accuracy": Mean.of((odds[k : k + 2] > 0) == ill[k : k + 2])} for k in range(0, 60, 2)]
    sums = merge({**one, **patient_sums(one, ["accuracy"])} for one in right)
    found = details(scoring("auc"), {**histogram, **sums})
    assert "accuracy" in found["intervals"] and "auc" not in found["intervals"]
    assert all("interval" not in row for row in found["curves"]["decision"])
    singly = merge(
        {**one, **patient_sums(one, ["accuracy"])}
        for k in range(60)
        for one in [{"accuracy": Mean.of([(odds[k] > 0) == ill[k]])}]
    )
    found = details(scoring("auc"), {**histogram, **singly})
    assert "auc" in found["intervals"] and all("interval" in row for row in found["curves"]["decision"])
    assert all("interval" not in row for row in details(scoring("accuracy"), histogram)["curves"]["decision"])


def test_few_patients_with_several_cases_each_have_the_interval_of_few() -> None:
    """Five patients with about five cases each, correlated: .85 of intervals held the truth, not .95."""
    rng, held, repetitions = np.random.default_rng(0), 0, 200
    for _ in range(repetitions):
        parts = []
        for _ in range(5):
            one = {"accuracy": Mean.of(rng.random(rng.integers(1, 10)) < rng.beta(0.5, 0.5))}
            parts.append({**one, **patient_sums(one, ["accuracy"])})
        low, high = intervals_of(merge(parts))["accuracy"]
        held += low <= 0.5 <= high
    assert held >= 0.9 * repetitions


@pytest.mark.parametrize(
    "strategy", ["fednova", 'strategy={name="qfedavg",q=0.5}', 'strategy={name="qfedavg",q=2.0}']
)
def test_an_auditor_takes_off_what_a_strategy_weighs_a_change_by(strategy: str) -> None:
    """Before: attacks compared a change of another size, and found less than an adversary would."""
    study = parse(PHANTOM, ["aggregation=plain", strategy if "=" in strategy else f"strategy={strategy}"])
    change, loss = np.random.default_rng(0).normal(0, 0.005, 50), 0.6
    plain = Update(((change * 8).astype(np.float32),), 8.0, {"loss": Mean.of([0.55])})
    work = STRATEGIES.build(study.strategy).work()
    rate = study.training.learning_rate
    sent = normalised(plain, 4, study.training, 0.0) if work.normalised else fair(plain, loss, work.fairness, rate)
    single = Single(1, "a", Order(study.json, 1, change.astype(np.float32), work), sent)
    (found,) = captured_updates(
        Observation("server", study, Shape((5,), 2), ("a", "b"), {"a": 8}, {}, singles=(single,))
    )
    np.testing.assert_allclose(found.sent, change, rtol=1e-3)


def test_what_an_attack_does_not_know_of_training_is_an_objection_and_not_silence() -> None:
    """Before: training.nesterov or a loss of one's own made the light of an audit greener."""
    claim = Claim("plain", "each", "")
    told = Trial("multi_step", "reconstruction", "server", "a", "", "", "", possible=False, reason="not simulated")
    (green,) = judged(claim, [told])
    assert "reconstruction" not in green.lights
    (amber,) = judged(claim, [replace(told, settings={UNTRIED: True})])
    assert amber.lights["reconstruction"] == "amber" and any("not tried" in words for _, words in amber.reasons)


@pytest.mark.parametrize("frozen", ["1.*", "1.weight", "1.bias", "3.weight"])
def test_an_imprint_is_played_on_another_network_where_its_layers_are_frozen(frozen: str) -> None:
    """Before: the audit of such a run ended in a traceback."""
    task, shape = Classification(Entry("mlp", {"hidden": (6,)})), Shape((5,), 2)
    assert carries(new_network(task, shape, 0), shape.inputs)
    assert not carries(new_network(task, shape, 0, Training(freeze=(frozen,))), shape.inputs)
