"""What public cases look like is learned from them, and brings a case back that its gradient alone does not tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.tasks.classification import soft_cross_entropy
from common.study.study import parse
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inversion.public_prior import PublicPrior
from experiments.attacks.learned_prior import LearnedPrior
from experiments.evidence.budget import Budget
from experiments.evidence.public_cases import public_cases
from wardround.testing.runs import observed

FEATURES, COMPONENTS = 40, 3
STUDY = parse(
    """
title = "Public"
rounds = 1
source = { name = "mnist" }
partition = { name = "iid", hospitals = 2 }
task = { name = "classification", network = { name = "logistic" } }
"""
)


def likely(cases: int, seed: int) -> NDArray[np.float32]:
    """Cases of three hidden numbers each, and little else."""
    weights = np.random.default_rng(0).normal(size=(COMPONENTS, FEATURES))
    rng = np.random.default_rng(seed)
    noise = 0.01 * rng.normal(size=(cases, FEATURES))
    return (rng.normal(size=(cases, COMPONENTS)) @ weights + noise).astype(np.float32)


def prior() -> PublicPrior:
    return PublicPrior.of(likely(400, 1), 8, np.random.default_rng(0))


def losses(network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    return soft_cross_entropy(network(inputs), truth)


def problem(case: Tensor) -> InversionProblem:
    """Of a network that shows four numbers of a case's forty: its first layer is not sent."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(FEATURES, 4), nn.Sigmoid(), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    victim = Victim(network, losses)
    gradient = tuple(part.detach() for part in victim.gradient(case, torch.tensor([[1.0, 0.0]])))
    return InversionProblem(victim, gradient, (1, FEATURES), (1, 2), np.array([0]))


def test_the_distribution_is_that_of_the_public_cases() -> None:
    """Against the covariance itself, which W W^T + s^2 is where few components make it."""
    public, made = likely(400, 1), prior()
    assert np.allclose(made.mean.numpy(), public.mean(0), atol=1e-5)
    covariance = made.weights.numpy() @ made.weights.numpy().T + made.rest**2 * np.eye(FEATURES)
    assert np.abs(covariance - np.cov(public.T, bias=True)).max() < 1e-3
    assert 0.005 < made.rest < 0.02


@pytest.mark.parametrize("cases", [2, 20])
def test_of_fewer_cases_than_values_it_draws_these_cases(cases: int) -> None:
    public = likely(cases, 2)
    made = PublicPrior.of(public, 256, np.random.default_rng(0))
    rows = torch.from_numpy(public).double() - made.mean
    within = made.weights @ torch.linalg.pinv(made.weights)
    assert (rows - rows @ within.T).abs().max() < 1e-4


def test_a_case_comes_back_from_fewer_numbers_than_it_has() -> None:
    case = torch.from_numpy(likely(1, 5))
    attack = LearnedPrior(iterations=300, components=8)
    found = attack.search(problem(case), prior(), torch.Generator().manual_seed(0), Budget(60.0)).inputs
    assert (found - case).norm() < 0.1 * case.norm()


def test_without_a_public_set_it_says_so() -> None:
    seen = observed("plain")[1]
    finding = LearnedPrior().run(seen, np.random.default_rng(0), 1.0)
    assert not finding.possible and finding.reason == "no public set was named"


def test_a_public_set_is_read_as_a_source_reads_it_and_must_fit(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((6, 5, 5)).astype(np.float32)
    np.savez(tmp_path / "others.npz", x=images, y=np.arange(6) % 2)
    cases = public_cases(tmp_path / "others.npz", STUDY, Shape((1, 5, 5), 2))
    assert np.array_equal(cases.inputs[:, 0], images)
    with pytest.raises(StudyError, match=r"\(1, 5, 5\).*\(1, 8, 8\)"):
        public_cases(tmp_path / "others.npz", STUDY, Shape((1, 8, 8), 2))
    with pytest.raises(StudyError, match="neither a folder"):
        public_cases(tmp_path / "absent.npz", STUDY, Shape((1, 5, 5), 2))
