"""The alarm hears a model that hides its gradients, of every sort that is planted, and no honest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.training import Trainer
from common.adversarial.masking import (
    ANSWERS,
    BEST_STEPS,
    MANY_STEPS,
    MORE_STEPS,
    ONE_STEP,
    UNBOUNDED,
    Probed,
    Scored,
    probed,
    signs_of_scores,
    tail,
)  # fmt: skip
from common.adversarial.room import Room
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.study.catalogue import TASKS
from common.study.options import Entry

INNER = {"name": "classification", "network": {"name": "mlp", "hidden": [16]}}
PLAIN: Any = TASKS.build(Entry("classification", {"network": {"name": "mlp", "hidden": [16]}}))
ROBUST: Any = TASKS.build(
    Entry("adversarial", {"task": INNER, "size": 0.1, "recipe": "pgd", "low": 0.0, "high": 1.0})
)


def cases(count: int = 64, seed: int = 0) -> Cases:
    """Six by six: bright on the left or on the right, in noise."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, count)
    images = rng.uniform(0.25, 0.75, (count, 1, 6, 6))
    for image, target in zip(images[:, 0], targets, strict=True):
        image[:, 3 * target : 3 * target + 3] += 0.2
    return Cases.of(images.clip(0, 1).astype(np.float32), targets, list(map(str, range(count))), ("left", "right"))


@pytest.fixture(scope="module")
def learned() -> dict[str, nn.Module]:
    found = {}
    for name, task in {"plain": PLAIN, "robust": ROBUST}.items():
        network = new_network(task, cases().shape, 1)
        training = Training(steps=60, batch_size=32, learning_rate=0.01, optimiser="adam")
        Trainer(task, network, cases(), training, np.random.default_rng(0)).train()
        found[name] = network.eval().requires_grad_(False)
    return found


class Hidden(nn.Module):
    """What answers as `body` does, and shows no slope, or a wrong one."""

    def __init__(self, body: nn.Module, how: str) -> None:
        super().__init__()
        self.body, self.how = body, how

    def forward(self, inputs: Tensor) -> Tensor:
        if self.how == "rounded inputs":
            return self.body((inputs * 16).round() / 16)
        if self.how == "not differentiable":
            return self.body(inputs.detach())
        answer: Tensor = self.body(inputs)
        if self.how == "saturated":  # the loss is 0 to the last bit, and so is its slope
            return answer * 1e4
        noise = torch.sin(4e3 * inputs).flatten(1).sum(1, keepdim=True)
        return answer + 0.02 * torch.cat([noise, -noise], 1)


def signs(network: nn.Module, size: float = 0.15) -> set[str]:
    batch = cases(seed=1).batch()
    return {one.name for one in probed(PLAIN, network, batch, Room.of(size, 0.0, 1.0), queries=150).signs()}


@pytest.mark.parametrize("how", ["rounded inputs", "not differentiable", "saturated", "rippled"])
def test_a_model_that_hides_its_slope_is_heard(how: str, learned: dict[str, nn.Module]) -> None:
    found = signs(Hidden(learned["plain"], how))
    assert "hidden" in found, found
    if how in ("rounded inputs", "not differentiable"):
        assert "unbounded" in found


@pytest.mark.parametrize("name", ["plain", "robust"])
@pytest.mark.parametrize("size", [0.02, 0.15])
def test_an_honest_model_is_not_accused(name: str, size: float, learned: dict[str, nn.Module]) -> None:
    assert not signs(learned[name], size)


def values(**own: list[float]) -> Probed:
    ways = (ONE_STEP, MANY_STEPS, MORE_STEPS, BEST_STEPS, ANSWERS, UNBOUNDED)
    found = {way: torch.tensor(own.get(way.replace(" ", "_"), [1.0] * 20)) for way in ways}
    return Probed(torch.zeros(20), found, True)


def test_each_sign_is_one_comparison() -> None:
    assert not values().signs()
    assert [one.name for one in values(answers_alone=[1.5] * 20).signs()] == ["hidden"]
    assert [one.name for one in values(one_step=[1.5] * 20).signs()] == ["one_step"]
    assert [one.name for one in values(four_times_as_many_steps=[0.5] * 20).signs()] == ["more_steps"]
    assert [one.name for one in values(no_bound=[-1.0] * 2 + [1.0] * 18).signs()] == ["unbounded"]
    assert not values(answers_alone=[1.5] * 10 + [0.5] * 10).signs(), "as often the other way"
    assert not values(answers_alone=[1.005] * 20).signs(), "as good as the same"


def test_chances_of_a_coin_are_those_worked_out_by_hand() -> None:
    assert (tail(2, 2), tail(0, 5), tail(3, 4)) == (0.25, 1.0, 5 / 16)


def test_scores_alone_tell_it_too_if_they_are_of_cases_enough() -> None:
    hidden = [Scored("pgd", "gradients", 0.8), Scored("fgsm", "gradients", 0.85), Scored("square", "answers", 0.3)]
    assert [one.name for one in signs_of_scores(hidden, 100)] == ["hidden"]
    assert "0.30" in signs_of_scores(hidden, 100)[0].words
    assert not signs_of_scores(hidden, 4), "of four cases nothing is sure"
    honest = [Scored("pgd", "gradients", 0.3), Scored("fgsm", "gradients", 0.4), Scored("square", "answers", 0.5)]
    assert not signs_of_scores(honest, 1000)
    late = [Scored("pgd", "gradients", 0.7), Scored("fgsm", "gradients", 0.2)]
    assert [one.name for one in signs_of_scores(late, 200)] == ["one_step"]


def test_without_cases_there_is_nothing_to_look_at(learned: dict[str, nn.Module]) -> None:
    with pytest.raises(StudyError, match="no case"):
        probed(PLAIN, learned["plain"], cases().batch(np.arange(0)), Room.of(0.1))
