"""Members that a task may have beside its role: declared rightly or refused, and carried out as declared."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from client.training import Trainer
from common.causality.deep.model import Cause
from common.data.cases import Batch, Cases, Shape
from common.errors import HospitalError, StudyError
from common.learning.abilities import NAMES, can, no_case_loss, no_soft_loss
from common.learning.client_work import Training
from common.learning.declared_abilities import ROLE, check_declared
from common.learning.losses import augmented, case_losses, groups_of
from common.learning.parameters import Layout, new_network, read, read_gradient, trainable, write
from common.learning.task import Task
from common.seeding import case_generators, generator
from common.study.catalogue import TASKS
from common.study.options import Entry, options_of

SHAPE = Shape((3,), 2)
PLAIN = Training(epochs=1, batch_size="full", learning_rate=0.5)


class Means:
    """Learns the mean of its inputs: the loss of a case is its squared distance to the weights."""

    headline = "none"

    def build_network(self, shape: Shape) -> nn.Module:
        network = nn.Module()
        network.model = nn.Linear(3, 1, bias=False)
        network.teacher = deepcopy(network.model)
        network.register_buffer("centre", torch.zeros(2))
        return network

    def loss(self, network: Any, batch: Batch) -> Tensor:
        distances: Tensor = (batch.inputs - network.model.weight).square().sum(1)
        return distances

    def score(self, network: nn.Module, batch: Batch) -> Any:
        return {}

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        return inputs


def having(**members: Any) -> Task:
    return type("Having", (Means,), members)()


def cases(count: int) -> Cases:
    inputs = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return Cases.of(inputs, np.zeros(count, np.int64), [f"p{index}" for index in range(count)], ("a", "b"))


def trained(task: Task, own: Cases, training: Training = PLAIN) -> Any:
    network = new_network(task, SHAPE, 1)
    Trainer(task, network, own, training, generator(1)).train()
    return network


def test_the_required_members_are_those_of_the_role() -> None:
    role = {name for name in (*vars(Task), *Task.__annotations__) if not name.startswith("_")}
    assert role == set(ROLE) and not role & set(NAMES)


def test_a_task_without_any_of_them_is_sound() -> None:
    check_declared(having(), "own")
    assert not any(can(having(), name) for name in NAMES)
    assert no_case_loss(having()) == "" and "soft_loss" in no_soft_loss(having())


@pytest.mark.parametrize("name", TASKS.names())
def test_ours_declare_rightly(name: str) -> None:
    loaded = TASKS.load(name)
    needed: dict[str, dict[str, Any]] = {"regression": {"center": 1, "spread": 1}, "survival": {"cuts": (1.0,)}}
    needed["deep_scm"] = {"graph": "age -> image", "causes": (Cause("age"),)}
    needed["adversarial"] = {"task": Entry("segmentation"), "size": 0.1}
    if "operator" in options_of(loaded):
        needed[name] = {"operator": Entry("denoising")}
    check_declared(loaded(**needed.get(name, {})), name)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"couple": True}, "has 'couple', which is no member .* did you mean 'couples'"),
        ({"view": ("a",)}, "did you mean 'views'"),
        ({"views": "first"}, "views must be a tuple of words; it is 'first'"),
        ({"views": ("inputs",)}, "columns of their own; inputs"),
        ({"couples": "yes"}, "couples must be True or False; it is 'yes'"),
        ({"companion": ["teacher"]}, "companion must be a tuple of words"),
        ({"follow": lambda self, network: None}, "has follow and no companion"),
        ({"optimised": {"a": ("model",), "b": ("teacher",)}}, "has optimised and no loss_of"),
        ({"optimised": {"a": ("model",)}, "loss_of": lambda *_: None}, "two groups or more"),
        ({"soft_loss": lambda *_: None}, "has soft_loss and no label_space"),
        ({"drawn": "outline"}, "drawn must be one of outlines, pair, panels; it is 'outline'"),
        ({"drawn": "panels"}, "it has no method of that name"),
    ],
)
def test_one_that_is_misspelt_of_another_kind_or_half_is_refused(members: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        check_declared(having(**members), "own")


def test_a_companion_stands_behind_the_model_and_is_never_learned() -> None:
    task = having(companion=("teacher", "centre"))
    network = new_network(task, SHAPE, 1)
    assert [name for name, _ in trainable(network)] == ["model.weight"]
    assert list(Layout.of(network).shapes) == ["model.weight", "centre", "teacher.weight"]
    write(network, np.arange(8, dtype=np.float32))
    assert network.centre.tolist() == [3, 4] and network.teacher.weight.tolist() == [[5, 6, 7]]  # type: ignore[union-attr, operator]
    assert read(network).tolist() == list(range(8)) and read_gradient(network).shape == (3,)
    assert read(new_network(having(), SHAPE, 1)).shape == (6,)


def test_a_copy_of_a_network_has_its_companion() -> None:
    network = new_network(having(companion=("teacher",)), SHAPE, 1)
    assert (read(deepcopy(network)) == read(network)).all() and read(network).shape == (6,)


def test_a_companion_that_is_not_there_or_no_float32_is_refused() -> None:
    with pytest.raises(StudyError, match="no companion 'techer'; it holds centre, model, teacher"):
        new_network(having(companion=("techer",)), SHAPE, 1)

    def build(self: Means, shape: Shape) -> nn.Module:
        network = Means.build_network(self, shape)
        network.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        return network

    with pytest.raises(StudyError, match=r"companion steps is torch\.int64"):
        new_network(having(companion=("steps",), build_network=build), SHAPE, 1)


def test_a_teacher_follows_every_step() -> None:
    """Of two steps at rate 1/2 on the squared distance: w - (w - mean) twice, w then at the mean; tau 1/4."""

    def follow(self: Means, network: Any) -> None:
        network.teacher.weight.lerp_(network.model.weight, 0.75)

    task, own = having(companion=("teacher",), follow=follow), cases(5)
    start = new_network(task, SHAPE, 1)
    network = trained(task, own, Training(epochs=2, batch_size="full", learning_rate=0.5))
    mean = own.inputs.mean(0)
    first = start.teacher.weight.detach().numpy()[0]  # type: ignore[union-attr]
    np.testing.assert_allclose(network.model.weight.detach().numpy()[0], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.teacher.weight.numpy()[0], mean + (first - mean) / 16, rtol=1e-5, atol=1e-6)


def adversaries() -> Task:
    """The teacher part runs after the model, which flees it: each sees what the other has just done."""

    def loss_of(self: Means, network: Any, batch: Batch, group: str) -> Tensor:
        distances: Tensor = (network.model.weight - network.teacher.weight + batch.inputs).square().sum(1)
        return distances if group == "second" else -0.25 * distances

    return having(optimised={"second": ("teacher",), "first": ("model",)}, loss_of=loss_of)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_several_optimisers_take_turns_by_their_own_losses(optimiser: Any) -> None:
    task, own = adversaries(), cases(6)
    training = Training(epochs=3, batch_size="full", learning_rate=0.1, optimiser=optimiser)
    network = trained(task, own, training)
    slow: Any = new_network(task, SHAPE, 1)
    kind = torch.optim.SGD if optimiser == "sgd" else torch.optim.Adam
    optimisers = [kind([slow.teacher.weight], lr=0.1), kind([slow.model.weight], lr=0.1)]
    for _ in range(3):
        for group, one in zip(("second", "first"), optimisers, strict=True):
            slow.zero_grad()
            case_losses(task, slow, own.batch(), group).mean().backward()
            one.step()
    np.testing.assert_allclose(read(network), read(slow), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"a": ("model",), "b": ("generator",)}, "parameter teacher.weight is in no group"),
        ({"a": ("model", "teacher"), "b": ("teacher.weight",)}, "parameter teacher.weight is in groups a and b"),
        ({"a": ("model", "teacher"), "b": ("critic",)}, "group 'b' .* has no parameter"),
    ],
)
def test_every_parameter_has_one_optimiser(groups: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        groups_of(having(optimised=groups), new_network(having(), SHAPE, 1))


def spread(self: Means, network: Any, batch: Batch) -> Tensor:
    """A loss of pairs: the squared distance to all others of the batch, and to the weights."""
    pairs = (batch.inputs[:, None] * network.model.weight - batch.inputs[None]).square().sum(2)
    total: Tensor = pairs.sum(1)
    return total


def test_a_batch_of_coupled_cases_is_never_cut() -> None:
    task, own = having(couples=True, loss=spread), cases(300)
    network = new_network(task, SHAPE, 1)
    update = Trainer(task, network, own, PLAIN, generator(1)).gradient_update()
    network.zero_grad()
    task.loss(network, own.batch()).sum().backward()  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(update.vectors[0], read_gradient(network), rtol=1e-6)
    assert update.weight == 300


def test_more_coupled_cases_than_can_pass_at_once_are_refused_with_a_size_that_fits() -> None:
    task = having(couples=True, loss=spread)
    with pytest.raises(HospitalError, match=r"a step takes 4097 cases.*training.batch_size = 4096 or less"):
        Trainer(task, new_network(task, SHAPE, 1), cases(4097), PLAIN, generator(1)).train()


def test_a_view_that_was_not_made_or_is_short_is_named() -> None:
    batch = cases(4).batch()
    with pytest.raises(StudyError, match="view 'crop', which its augment did not make; it made none"):
        augmented(having(views=("crop",)), batch, generator(1))
    short = having(views=("crop",), augment=lambda self, batch, rng: batch.with_columns(crop=batch.inputs[:2]))
    with pytest.raises(StudyError, match="a row for each of 4 cases; it has 2"):
        augmented(short, batch, generator(1))


def test_a_loss_that_is_not_one_a_case_is_refused() -> None:
    task = having(loss=lambda self, network, batch: torch.zeros(()))
    with pytest.raises(StudyError, match=r"one loss a case, \(4,\) here; its losses have shape \(\)"):
        case_losses(task, nn.Identity(), cases(4).batch())


@given(st.lists(st.integers(0, 5), max_size=6))
def test_a_case_is_drawn_for_alone_as_among_others(cuts: list[int]) -> None:
    together = case_generators(generator(3), sum(cuts))
    rng = generator(3)
    alone = [one for count in cuts for one in case_generators(rng, count)]
    assert [one.random() for one in alone] == [one.random() for one in together]
    assert rng.random() == generator(3).random()
