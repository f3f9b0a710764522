"""Fully connected layers without autograd's bookkeeping, bit for bit as with it, and what is left to autograd."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from client.fully_connected import FullyConnected
from client.training import Trainer
from common.data.cases import Batch, Cases, Shape
from common.learning.abilities import REST
from common.learning.client_work import Training
from common.learning.networks._flat import fully_connected
from common.learning.parameters import read
from common.learning.tasks.classification import Classification
from common.seeding import generator

TASK = Classification()


class ByAutograd(nn.Sequential):
    """The same layers, of a kind that is not known."""


class OtherLoss(Classification):
    """What it inherits is said of another loss."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        penalty = sum(parameter.square().sum() for parameter in network.parameters())
        return super().loss(network, batch) + penalty


class ByGroups(Classification):
    """Each group's loss is another than the one that it inherits."""

    optimised: ClassVar[dict[str, tuple[str, ...]]] = {"head": ("3",), "body": (REST,)}

    def loss_of(self, network: nn.Module, batch: Batch, group: str) -> Tensor:
        penalty = sum(parameter.square().sum() for parameter in network.parameters())
        return self.loss(network, batch) + penalty


def cases(count: int, inputs: tuple[int, ...], classes: int) -> Cases:
    rng = generator(count, *inputs)
    values = rng.normal(size=(count, *inputs)).astype(np.float32)
    names = tuple("abcdefg"[:classes])
    return Cases.of(values, np.arange(count) % classes, np.array([f"p{i}" for i in range(count)]), names)


def network(own: Cases, hidden: list[int]) -> nn.Sequential:
    made = fully_connected(own.shape, hidden)
    rng = generator(7)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, 0.5, tuple(parameter.shape))))
    return made


def trained(task: Classification, learner: nn.Module, own: Cases, training: Training) -> tuple[Any, Any]:
    update, steps = Trainer(task, learner, own, training, generator(3)).local_update(0.1)
    return update.vectors[0].tobytes(), (steps, update.statistics, read(learner).tobytes())


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([(1,), (5,), (1, 3, 4)]),
    st.lists(st.integers(1, 9), max_size=3),
    st.integers(2, 4),
    st.integers(1, 40),
    st.integers(1, 11),
    st.sampled_from(
        [{}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"clip_gradient_norm": 0.1}, {"optimiser": "adam"}]
    ),
    st.sampled_from([{}, {"class_weights": "own"}, {"calibration": "own"}, {"sampling": "by_class"}]),
)
def test_updates_are_those_of_autograd_to_the_bit(
    inputs: tuple[int, ...], hidden: list[int], classes: int, count: int, size: int, optimiser: Any, drawn: Any
) -> None:
    own, training = cases(count, inputs, classes), Training(epochs=2, batch_size=size, **optimiser, **drawn)
    ours = network(own, hidden)
    assert FullyConnected.of(TASK, ours, training) is not None
    assert trained(TASK, ours, own, training) == trained(TASK, ByAutograd(*network(own, hidden)), own, training)


def test_a_step_that_is_worked_off_in_pieces_adds_their_gradients_up() -> None:
    own, training = cases(520, (6,), 3), Training(steps=3, batch_size=517)
    assert trained(TASK, network(own, [8]), own, training) == trained(
        TASK, ByAutograd(*network(own, [8])), own, training
    )


class Noted(nn.Linear):
    """A layer that may do more than multiply."""


def with_a_hook(made: nn.Sequential) -> nn.Sequential:
    made[1].register_forward_hook(lambda *_: None)
    return made


def with_a_hook_on_a_gradient(made: nn.Sequential) -> nn.Sequential:
    made[1].weight.register_post_accumulate_grad_hook(lambda _: None)
    return made


def frozen(made: nn.Sequential) -> nn.Sequential:
    made[1].bias.requires_grad_(False)
    return made


def tied(made: nn.Sequential) -> nn.Sequential:
    made[3].bias = made[1].bias
    return made


@pytest.mark.parametrize(
    "other",
    [
        nn.Linear(4, 3),
        nn.Sequential(),
        nn.Sequential(nn.Flatten()),
        nn.Sequential(nn.Linear(4, 3)),
        nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(4, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(), nn.Linear(3, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False)),
        nn.Sequential(nn.Flatten(), Noted(4, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3).double()),
        with_a_hook(nn.Sequential(nn.Flatten(), nn.Linear(4, 3))),
        with_a_hook_on_a_gradient(nn.Sequential(nn.Flatten(), nn.Linear(4, 3))),
        frozen(nn.Sequential(nn.Flatten(), nn.Linear(4, 3))),
        tied(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))),
    ],
)
def test_any_other_network_is_autograds(other: nn.Module) -> None:
    assert FullyConnected.of(TASK, other, Training()) is None


def test_a_loss_of_more_than_answers_and_a_lower_precision_are_autograds() -> None:
    made = fully_connected(Shape((4,), 3), [])
    assert FullyConnected.of(OtherLoss(), made, Training()) is None
    assert FullyConnected.of(ByGroups(), made, Training()) is None
    assert FullyConnected.of(TASK, made, Training(precision="bfloat16")) is None
