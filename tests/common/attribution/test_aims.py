"""What can be explained of a network, one number a case: worked out by hand, and of every task that answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from opacus.grad_sample.grad_sample_module import GradSampleModule
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.aims import FeatureMap, LayerNorm, Neuron, Number, Probabilities, Regions, predicted_aim
from common.attribution.gradients import input_gradient
from common.attribution.layers import activations, answers_by_layer
from common.attribution.methods.guided_backpropagation import GuidedBackpropagation
from common.data.cases import Shape
from common.errors import AttributionError, UnknownNameError
from common.learning.networks._foreign import ForeignModel
from common.study.catalogue import ATTRIBUTIONS, TASKS
from common.study.options import Entry
from wardround.testing.attributions import drawn, mapped, small_network, state_of

X = torch.arange(8.0).reshape(2, 1, 2, 2)
TASK: dict[str, tuple[dict[str, object], Shape, str]] = {
    "classification": ({}, Shape((5,), 3), "the logit of the predicted class"),
    "regression": ({"center": 48.0, "spread": 9.0}, Shape((5,), 0), "the predicted value"),
    "cox": ({}, Shape((5,), 0), "the log hazard ratio"),
    "survival": ({"cuts": [1.0, 2.5]}, Shape((5,), 0), "the cumulative hazard by 2.5"),
    "segmentation": (
        {"network": {"name": "unet", "channels": 4, "depth": 2}},
        Shape((1, 8, 8), 3),
        "the logits of the largest predicted structure, summed over where it was outlined",
    ),
}


class Doubled(nn.Module):
    """Twice the image, which a ReLU then changes in place, and its sum."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.relu = nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(inplace=True)
        with torch.no_grad():
            self.twice.weight.copy_(torch.tensor([2.0, -2.0]).reshape(2, 1, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.relu(self.twice(inputs)).sum((2, 3))
        return answer


def built(name: str) -> tuple[Any, nn.Module, Tensor]:
    options, shape, _ = TASK[name]
    task = TASKS.build(Entry(name, options))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = task.build_network(shape)
    return task, network, torch.randn(3, *shape.inputs, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("aim", "values", "gradient"),
    [
        (Neuron("twice", 1, (0, 1)), [-2, -10], [[0, -2], [0, 0]]),
        (Neuron("twice", 0), [6, 14], [[0, 0], [0, 2]]),
        (FeatureMap("twice", 0), [3, 11], [[0.5, 0.5], [0.5, 0.5]]),
        (LayerNorm("relu"), [2 * 14**0.5, 2 * 126**0.5], None),
        (Number(0), [12, 44], [[2, 2], [2, 2]]),
        (Probabilities(torch.tensor([0, 1])), [1, 0], None),
    ],
)
def test_a_part_of_a_layer_is_the_number_that_it_says(
    aim: Aim, values: list[float], gradient: list[list[float]] | None
) -> None:
    network = Doubled()
    torch.testing.assert_close(aim.values(network, X), torch.tensor(values).float(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(aim.take(slice(1, 2)).values(network, X[1:])[0], torch.tensor(float(values[1])))
    if gradient is not None:
        assert input_gradient(network, X[1:], aim.take(slice(1, 2))).tolist() == [[gradient]]
    assert aim.words


def test_what_a_layer_answers_is_not_what_a_relu_behind_it_makes_of_it() -> None:
    network = Doubled()
    assert activations(network, "twice", X)[0, 1].flatten().tolist() == [0, -2, -4, -6]
    found = answers_by_layer(network, X)
    assert list(found) == ["twice", "relu"]
    assert found["twice"][0, 1].flatten().tolist() == [0, -2, -4, -6] and not found["relu"][0, 1].any()


@pytest.mark.parametrize(
    ("aim", "words"),
    [
        (Neuron("twcie", 0), "did you mean 'twice'"),
        (Neuron("twice", 2), "no channel 2: it answers with 0 to 1"),
        (Neuron("twice", 0, (2, 0)), "no such place"),
        (Neuron("twice", 0, (0,)), "no such place"),
    ],
)
def test_a_part_that_is_not_there_is_refused(aim: Aim, words: str) -> None:
    with pytest.raises((AttributionError, UnknownNameError), match=words):
        aim.values(Doubled(), X)


@pytest.mark.parametrize("name", TASK)
def test_what_a_task_predicts_is_an_aim_that_rests_on_each_case_alone(name: str) -> None:
    task, network, inputs = built(name)
    aim = predicted_aim(task, network, inputs)
    assert aim.words == TASK[name][2]
    values, gradient = aim.values(network, inputs), input_gradient(network, inputs, aim)
    assert values.shape == (3,) and gradient.abs().flatten(1).sum(1).min() > 0
    torch.testing.assert_close(input_gradient(network, inputs[1:2], aim.take(slice(1, 2)))[0], gradient[1])
    torch.testing.assert_close(aim.take(torch.tensor([2])).values(network, inputs[2:]), values[2:])
    found = ATTRIBUTIONS.build(Entry("occlusion")).explain(network, inputs, aim, np.random.default_rng(0))
    assert found.abs().amax() > 0


def test_the_numbers_of_a_task_are_those_that_it_predicts_by() -> None:
    task, network, inputs = built("regression")
    torch.testing.assert_close(
        predicted_aim(task, network, inputs).values(network, inputs), task.predict(network, inputs)
    )
    task, network, inputs = built("survival")
    torch.testing.assert_close((-task.numbers(network, inputs)).exp(), task.predict(network, inputs))
    assert predicted_aim(task, network, inputs, 0).words == "the cumulative hazard by 1"
    task, network, inputs = built("cox")
    torch.testing.assert_close(task.numbers(network, inputs)[:, 0], task.predict(network, inputs))


def test_a_region_is_where_a_structure_was_outlined_whatever_becomes_of_the_image() -> None:
    task, network, inputs = built("segmentation")
    outlined = task.predict(network, inputs)
    aim = predicted_aim(task, network, inputs, 1, ("background", "nodule", "rib"))
    assert isinstance(aim, Regions) and torch.equal(aim.regions, outlined == 1)
    assert aim.words == "the logits of nodule, summed over where it was outlined"
    logits = network(inputs * 0.3)[:, 1]
    torch.testing.assert_close(aim.values(network, inputs * 0.3), (logits * (outlined == 1)).sum((1, 2)))


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [("classification", 3, "no class 3"), ("segmentation", -1, "no class -1"), ("survival", 2, "no number 2")],
)
def test_an_answer_that_a_task_does_not_have_is_refused(name: str, answer: int, words: str) -> None:
    task, network, inputs = built(name)
    with pytest.raises(AttributionError, match=words):
        predicted_aim(task, network, inputs, answer)


def test_a_task_without_an_answer_to_explain_says_what_it_lacks() -> None:
    task = TASKS.build(Entry("simclr", {"network": {"name": "mlp"}, "augmentation": "grey"}))
    with pytest.raises(AttributionError, match="declares `logits`, or `numbers`"):
        predicted_aim(task, nn.Identity(), X)


def test_a_network_under_opacus_hooks_is_explained_as_without_them() -> None:
    inputs = drawn((1, 8, 8))
    expected = mapped(GuidedBackpropagation(), small_network((1, 8, 8)), inputs)
    hooked = GradSampleModule(small_network((1, 8, 8)))
    before = state_of(hooked)
    assert torch.equal(mapped(GuidedBackpropagation(), hooked, inputs), expected)
    assert state_of(hooked) == before and all(
        getattr(one, "grad_sample", None) is None for one in hooked.parameters()
    )


def test_a_model_that_others_trained_is_explained_by_covering_parts_of_the_image_alone() -> None:
    model = ForeignModel(lambda case: case.sum((1, 2, 3))[:, None] * [1.0, -1.0], "logits", "channels_first", {})
    inputs = drawn((1, 8, 8))
    found = mapped(ATTRIBUTIONS.build(Entry("occlusion", {"window": [1]})), model, inputs)
    signs = torch.tensor([1.0, -1.0, 1.0]).reshape(3, 1, 1, 1)
    torch.testing.assert_close(found, inputs * signs, rtol=1e-4, atol=1e-4)
    with pytest.raises(AttributionError, match="gradient"):
        mapped(ATTRIBUTIONS.build(Entry("saliency")), model, inputs)
