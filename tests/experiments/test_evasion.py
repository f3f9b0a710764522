from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from common.adversarial.aims import objective_of
from common.adversarial.perturbation import Perturbation
from common.adversarial.perturbations import apgd_ce, fgsm, pgd, square
from common.data.cases import Batch, Cases, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.seeding import case_generators
from common.study.options import Entry
from common.study.study import parse
from experiments.access import Access
from experiments.adversary import View
from experiments.attack import Evasion
from experiments.attacks.apgd import Apgd
from experiments.attacks.evasion.ascent import SIZES, Range
from experiments.attacks.fgsm import Fgsm
from experiments.attacks.pgd import Pgd
from experiments.attacks.square import Square
from experiments.audit.questions.evasion import ErrorsByChange, check_moved, headline
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.observing import observe
from experiments.question import Attempt
from experiments.running.run import run_study


def halves() -> tuple[Classification, nn.Module, Batch]:
    """A logistic model of one number x that answers 1 where x > 0; four cases 0.2 from the boundary at most."""
    task = Classification(network=Entry("logistic"))
    network = new_network(task, Shape((1,), 2), 0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.zeros(2) if name.endswith("bias") else torch.tensor([[-1.0], [1.0]]))
    inputs = torch.tensor([[0.05], [0.2], [-0.05], [-0.2]])
    return task, network, Batch.of(inputs, torch.tensor([1, 1, 0, 0]), ("a", "b", "c", "d"))


def moved_by(way: Perturbation, size: float, low: float = -1.0, high: float = 1.0) -> tuple[torch.Tensor, float]:
    """The four cases moved as the audit does, and the model's accuracy on them."""
    task, network, batch = halves()
    room = Range(torch.tensor([low]), torch.tensor([high])).room(size)
    moved = way.move(
        objective_of(way, task, network, batch), room, case_generators(np.random.default_rng(0), len(batch))
    )
    with torch.no_grad():
        return moved, float((network(moved).argmax(1) == batch.targets).float().mean())


WAYS = (fgsm.Fgsm(), pgd.Pgd(restarts=3), apgd_ce.ApgdCe(20), square.Square(100))


def test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins() -> None:
    """Of fgsm, pgd, apgd and square. The range is 2 wide, so that a size of .01 moves by .02, and of .1 by .2."""
    inputs = halves()[2].inputs
    for size, expected in ((0.005, 1.0), (0.05, 0.5), (0.15, 0.0)):
        for way in WAYS:
            moved, accuracy = moved_by(way, size)
            assert accuracy == expected, way
            assert float((moved - inputs).abs().max()) <= 2 * size + 1e-6


def test_no_value_leaves_the_range_and_where_it_is_narrow_nobody_is_misled() -> None:
    for way in WAYS:
        moved, _ = moved_by(way, 0.9, low=-0.05, high=0.2)
        assert float(moved.min()) >= np.float32(-0.05) and float(moved.max()) <= np.float32(0.2)
        above, _ = moved_by(way, 0.9, low=0.01, high=0.2)
        assert float(above[:2].min()) > 0, "what may not cross the boundary stays right"


def test_the_range_is_of_each_channel_or_column() -> None:
    def seen(inputs: np.ndarray) -> Any:
        cases = Cases.of(inputs.astype(np.float32), np.zeros(len(inputs), np.int64), ["a"] * len(inputs), ("x", "y"))
        return SimpleNamespace(access=Access(tests={"a": cases}))

    table = Range.of(seen(np.array([[0.0, 100.0], [1.0, 300.0]])))
    assert table.low.tolist() == [0, 100] and table.width.tolist() == [1, 200]
    image = Range.of(seen(np.stack([np.zeros((2, 2)), np.array([[1.0, 5], [3, 1]])])[None]))
    assert image.low.flatten().tolist() == [0, 1] and image.high.shape == (2, 1, 1)


def test_claims_that_went_too_far_are_refused() -> None:
    cases = Cases.of(np.array([[0.5]], np.float32), np.zeros(1, np.int64), ["p"], ("x", "y"))
    ends = np.zeros(1, np.float32), np.ones(1, np.float32)
    check_moved(Evasion("a", 0.1, (np.array([0.6], np.float32),), *ends), cases)
    for moved, words in ((0.7, "further"), (np.nan, "no input")):
        with pytest.raises(StudyError, match=words):
            check_moved(Evasion("a", 0.1, (np.array([moved], np.float32),), *ends), cases)
    with pytest.raises(StudyError, match="out of the range"):
        check_moved(Evasion("a", 0.9, (np.array([1.1], np.float32),), *ends), cases)


STUDY = """
title = "Bright on the left or on the right"
rounds = 2
seed = 5
engine = "inline"
source = { name = "medmnist", classes = ["left", "right"] }
partition = { name = "iid", hospitals = 3 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
strategy = "fedavg"
aggregation = "plain"
training = { epochs = 3, batch_size = 8, learning_rate = 0.1 }
federation = { record_traffic = true }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_images: Path) -> Any:
    folder = tmp_path_factory.mktemp("evasion") / "run"
    run_study(parse(STUDY, [f'source.folder="{tiny_images}"']), "tiny", folder)
    seen = observe(folder)
    tests = {site: hospital_of(seen.study, site).splits["test"] for site in seen.sites}
    seen = replace(seen, access=Access(tests={site: cases for site, cases in tests.items() if len(cases)}))
    return SimpleNamespace(observed=seen, study=seen.study)


def test_every_hospital_gets_a_curve_of_each_attack(run: Any) -> None:
    for name, attack in (("fgsm", Fgsm()), ("pgd", Pgd()), ("apgd", Apgd(5)), ("square", Square(20))):
        finding = attack.run(run.observed, np.random.default_rng(0), 60.0)
        attempt = Attempt(name, attack.source, "outsider", View(run.observed), question="evasion")
        trials = ErrorsByChange().scored(attempt, finding, run)
        assert [trial.site for trial in trials] == list(run.observed.access.tests)
        for trial in trials:
            assert {f"accuracy at {size:g}" for size in (0, *SIZES)} <= set(trial.figures)
            assert trial.figures["accuracy at 0.1"] <= trial.figures["accuracy at 0"]
        assert "takes accuracy from" in ErrorsByChange().answer(trials)


def test_a_task_whose_loss_asks_for_no_truth_or_is_of_no_case_is_said_not_to_be_possible(run: Any) -> None:
    class Untrue(Classification):
        def label_space(self, shape: Shape) -> tuple[int, ...]:
            return (0,)

    class Coupled(Classification):
        couples = True

    for cls, words in ((Untrue, "learns no diagnosis or other truth"), (Coupled, "compares the cases")):
        task: Task = cls(network=Entry("logistic"))
        study: Any = SimpleNamespace(build_task=lambda task=task: task)
        found = Fgsm().run(replace(run.observed, study=study), np.random.default_rng(0), 1.0)
        assert not found.possible and words in found.reason
    assert not Pgd().run(replace(run.observed, access=Access()), np.random.default_rng(0), 1.0).possible


def test_the_score_is_of_patients_as_a_whole(run: Any) -> None:
    task, network, batch = halves()
    cases = Cases.of(batch.inputs.numpy(), batch.targets.numpy(), list("abcd"), ("x", "y"))
    assert headline(network, task, cases) == 1.0
