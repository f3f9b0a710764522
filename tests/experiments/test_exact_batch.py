"""Whole batches out of one gradient: what is certified is true, and noise certifies nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common.data.cases import Shape
from common.learning.tasks.classification import soft_cross_entropy
from common.study.study import Study, parse
from experiments.attack import Finding
from experiments.attacks.exact_batch import ExactBatch, sighting_of
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.first_layer import Stage
from experiments.attacks.inversion.layers import layers_in_order
from experiments.attacks.inversion.peeling import Peeled, peel
from experiments.attacks.inversion.sightings import Way
from experiments.evidence.budget import Budget
from experiments.evidence.ground_truth import truth_of
from experiments.evidence.observing import observe
from experiments.observation import Observation
from experiments.running.run import run_study

STUDY = """
title = "Taken apart"
rounds = 1
seed = 5
engine = "inline"
partition = { name = "iid", hospitals = 2 }
task = { name = "classification", network = { name = "mlp", hidden = [192] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = "full", learning_rate = 0.05 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60, record_traffic = true }
"""

Run = Callable[..., tuple[Study, Observation]]


def network_of(features: int, hidden: tuple[int, ...], classes: int, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    wide = features
    for units in hidden:
        layers += [nn.Linear(wide, units, bias=bias), nn.ReLU()]
        wide = units
    return nn.Sequential(*layers, nn.Linear(wide, classes, bias=bias))


def losses(network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    return soft_cross_entropy(network(inputs), truth)


def taken_apart(
    network: nn.Sequential, inputs: Tensor, labels: Tensor, noise: float = 0.0, seconds: float = 5.0
) -> Peeled:
    """The mean gradient in float32, as the attack is shown it. noise: of a value, as a share of the largest."""
    gradient = torch.autograd.grad(cross_entropy(network(inputs), labels), list(network.parameters()))
    gradient = tuple(part + noise * part.abs().max() * torch.randn_like(part) for part in gradient)
    names = [name for name, _ in network.named_parameters()]
    ordered = tuple(part for _, part in sorted(zip(names, gradient, strict=True)))
    victim = Victim(network, losses).double()
    shape = Shape(tuple(inputs.shape[1:]), int(network[-1].out_features))
    first = layers_in_order(victim.network, shape)[0]
    ways = (Way(1 / len(inputs), (Stage.of(victim, first.name, shape.inputs),)),)
    return peel(sighting_of(ordered, victim, first, ways, shape.classes, 0.0), Budget(seconds, process_time))


def distances(peeled: Peeled, inputs: Tensor) -> NDArray[np.float64]:
    """(certified, N) relative distances to the true cases."""
    flat = inputs.flatten(1).double().numpy()
    found = np.array([case.x[: flat.shape[1]] for case in peeled.certified]).reshape(-1, 1, flat.shape[1])
    return np.asarray(np.linalg.norm(found - flat, axis=2) / np.linalg.norm(flat, axis=1))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    features=st.integers(2, 30),
    hidden=st.sampled_from([(8,), (24,), (64,), (160,), (24, 8), (96, 32)]),
    classes=st.sampled_from([2, 3, 10]),
    cases=st.integers(1, 14),
    spread=st.sampled_from([0.1, 1.0]),
)
def test_what_is_certified_is_a_case_of_the_batch(
    seed: int, features: int, hidden: tuple[int, ...], classes: int, cases: int, spread: float
) -> None:
    """Of random networks, narrow or wide, and cases that are alike or not."""
    torch.manual_seed(seed)
    inputs = 0.5 + spread * torch.randn(cases, features)
    peeled = taken_apart(
        network_of(features, hidden, classes), inputs, torch.randint(0, classes, (cases,)), seconds=0.5
    )
    apart = distances(peeled, inputs)
    assert (apart.min(1, initial=np.inf) < 0.01).all()
    assert not peeled.whole or len(peeled.certified) == cases


@pytest.mark.parametrize(
    ("hidden", "classes", "features"), [((256,), 2, 13), ((256, 64), 10, 13), ((256, 64), 2, 100), ((256,), 10, 100)]
)
def test_sixteen_cases_come_back_even_of_fewer_features(hidden: tuple[int, ...], classes: int, features: int) -> None:
    """Of 13 features and a bias the rank is 14: it hides that there are 16, and not who they are. Patients are alike:
    what all have in common opens most units for all or none, and few cases stand alone at the others."""
    torch.manual_seed(1)
    inputs = torch.randn(features) + 0.7 * torch.randn(16, features)
    peeled = taken_apart(network_of(features, hidden, classes), inputs, torch.randint(0, classes, (16,)))
    assert peeled.whole and peeled.rank == min(16, features + 1)
    assert distances(peeled, inputs).min(0).max() < 1e-4


def test_without_a_bias_cases_come_back_with_their_length() -> None:
    torch.manual_seed(2)
    inputs = torch.randn(6, 20)
    peeled = taken_apart(network_of(20, (64,), 2, bias=False), inputs, torch.tensor([0, 1, 0, 1, 1, 0]))
    assert peeled.whole and distances(peeled, inputs).min(0).max() < 1e-3


@pytest.mark.parametrize("features", [13, 60])
def test_noise_fills_the_rank_and_certifies_nothing(features: int) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        inputs = torch.randn(4, features)
        peeled = taken_apart(network_of(features, (64,), 2), inputs, torch.randint(0, 2, (4,)), noise=0.3)
        assert peeled.full and not peeled.certified


def test_cases_of_which_none_has_a_unit_to_itself_come_back_by_the_units_that_are_shut() -> None:
    """Of twelve cases that have nothing in common a unit is open for one alone once in 341 times."""
    torch.manual_seed(1)
    inputs = torch.randn(12, 100)
    peeled = taken_apart(network_of(100, (192,), 2), inputs, torch.randint(0, 2, (12,)))
    assert peeled.whole and distances(peeled, inputs).min(0).max() < 1e-3


def test_without_units_of_their_own_cases_of_ten_classes_are_found_by_sampling() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(12, 100)
    peeled = taken_apart(network_of(100, (64,), 10), inputs, torch.randint(0, 10, (12,)))
    assert peeled.whole and distances(peeled, inputs).min(0).max() < 1e-3


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 noisy images of 8 x 8, two classes."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = rng.integers(0, 2, (40, 1), dtype=np.uint8)
    cuts = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}
    arrays = {f"{name}_images": images[cut] for name, cut in cuts.items()}
    arrays |= {f"{name}_labels": labels[cut] for name, cut in cuts.items()}
    folder = tmp_path_factory.mktemp("faces")
    np.savez(folder / "faces.npz", **arrays)
    return folder


@pytest.fixture
def run(faces: Path, tmp_path: Path) -> Run:
    """Run the study with overrides: it, and what the server saw."""

    def go(*overrides: str) -> tuple[Study, Observation]:
        study = _study(faces, *overrides)
        run_study(study, "apart", tmp_path / "run")
        return study, observe(tmp_path / "run")

    return go


def attack(observed: Observation, seconds: float = 20.0) -> Finding:
    return ExactBatch().run(observed, np.random.default_rng(0), seconds)


def came_back(study: Study, finding: Finding) -> list[tuple[int, int, int]]:
    """Of each update: how many cases are claimed, how many of those are true, and of how many."""
    counted = []
    for one in finding.reconstructions:
        truth = truth_of(study, one.round, one.sites)
        apart = np.abs(one.inputs[:, None] - truth.inputs[None]).reshape(len(one.inputs), len(truth), -1).max(2)
        counted.append((len(one.inputs), int((apart.min(1) < 0.02).sum()), len(truth)))
    return counted


def test_every_patient_of_a_hospital_comes_back_from_its_own_step(run: Run) -> None:
    study, observed = run("training.momentum=0.9", "training.weight_decay=0.01", "rounds=2")
    finding = attack(observed)
    assert finding.possible and all(claimed == true == among for claimed, true, among in came_back(study, finding))
    assert finding.figures["certified_whole_updates"] == finding.figures["updates_attacked"]


def test_a_masked_sum_of_hospitals_is_taken_apart_as_a_batch_is(run: Run) -> None:
    study, observed = run('aggregation="secagg"', 'partition={name="iid", hospitals=3}')
    assert not observed.singles
    ((claimed, true, _),) = came_back(study, attack(observed, 4.0))
    assert claimed == true >= 3


@pytest.fixture(scope="module")
def plain(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Observation:
    """What the server saw of the study as it is."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    run_study(_study(faces), "apart", folder)
    return observe(folder)


def _study(faces: Path, *overrides: str) -> Study:
    return parse(STUDY, [f'source={{name="medmnist", folder="{faces}", classes=["no", "yes"]}}', *overrides])


def test_under_noise_nothing_is_claimed(plain: Observation) -> None:
    rng = np.random.default_rng(0)
    noisy = [
        replace(
            one,
            update=replace(
                one.update,
                vectors=[vector + rng.normal(0, np.abs(vector).max(), len(vector)) for vector in one.update.vectors],
            ),
        )
        for one in plain.singles
    ]
    finding = attack(replace(plain, singles=tuple(noisy)))
    assert not finding.possible and "rank" in finding.reason


def test_of_several_steps_only_true_cases_are_claimed(run: Run) -> None:
    study, observed = run("training.epochs=3", "training.learning_rate=0.002")
    counted = came_back(study, attack(observed))
    assert counted and all(claimed == true for claimed, true, _ in counted)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ('training.optimiser="adam"', "adam"),
        ('task.network="groupnorm_cnn"', "Conv2d"),
        ('training.freeze=["1.*"]', "frozen"),
    ],
)
def test_where_it_cannot_work_it_says_why(plain: Observation, faces: Path, override: str, reason: str) -> None:
    finding = attack(replace(plain, study=_study(faces, override)))
    assert not finding.possible and reason in finding.reason
