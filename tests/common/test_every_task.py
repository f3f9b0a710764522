"""What every task and every network must do. A new task needs tiny cases here, by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from client.evaluation import evaluate
from client.training import Trainer
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.abilities import can, couples, scored_whole
from common.learning.parameters import new_network, read, read_gradient, refuse_unsuitable
from common.learning.work import Training
from common.study.catalogue import NETWORKS, TASKS
from common.study.options import Entry
from common.sums.mean import merge


def classification_cases() -> tuple[Any, Cases]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 5)).astype(np.float32)
    names = np.array([f"p{index % 6}" for index in range(12)])
    task = TASKS.build(Entry("classification", {"network": {"name": "mlp", "hidden": [32]}}))
    return task, Cases.of(inputs, (np.arange(12) % 3).astype(np.int64), names, ("a", "b", "c"))


def segmentation_cases() -> tuple[Any, Cases]:
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 16, 16), np.uint8)
    for index, mask in enumerate(masks):
        mask[index % 5 + 2 : index % 5 + 8, 3:9] = 1 + index % 2
    inputs = (masks + 0.1 * rng.normal(size=masks.shape)).astype(np.float32)[:, None]
    names = np.array([f"p{index % 6}" for index in range(12)])
    task = TASKS.build(Entry("segmentation", {"network": {"name": "unet", "channels": 4, "depth": 2}}))
    return task, Cases.of(inputs, masks, names, ("none", "one", "two"))


def registration_cases() -> tuple[Any, Cases]:
    rng = np.random.default_rng(0)
    labels = np.zeros((12, 2, 16, 16), np.uint8)
    for index, (moving, fixed) in enumerate(labels):
        moving[4:10, 4 + index % 2 : 10] = 1
        fixed[5:12, 4:11] = 1
    inputs = (labels + 0.01 * rng.normal(size=labels.shape)).astype(np.float32)
    names = np.array([f"p{index % 6}" for index in range(12)])
    options = {"network": {"name": "voxelmorph", "channels": 8, "depth": 2}, "similarity": "difference"}
    task = TASKS.build(Entry("registration", {**options, "smoothness": 0.001}))
    return task, Cases.of(inputs, labels, names, ("none", "square"))


def regression_cases() -> tuple[Any, Cases]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 5)).astype(np.float32)
    targets = (50 + 10 * inputs[:, 0]).astype(np.float32)
    names = np.array([f"p{index % 6}" for index in range(12)])
    options = {"network": {"name": "mlp", "hidden": [32]}, "center": 48, "spread": 9}
    return TASKS.build(Entry("regression", options)), Cases.of(inputs, targets, names)


def survival_cases() -> tuple[Any, Cases]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(12, 5)).astype(np.float32)
    targets = np.column_stack([1 + np.arange(12) % 4, np.arange(12) % 3 > 0]).astype(np.float32)
    names = np.array([f"p{index % 6}" for index in range(12)])
    options = {"network": {"name": "mlp", "hidden": [32]}, "cuts": [1.5, 2.5, 3.5], "scores": ["brier", "auc"]}
    return TASKS.build(Entry("survival", options)), Cases.of(inputs, targets, names)


def cox_cases() -> tuple[Any, Cases]:
    _, cases = survival_cases()
    return TASKS.build(Entry("cox", {"network": {"name": "mlp", "hidden": [32]}})), cases


@pytest.fixture(params=TASKS.names())
def made(request: pytest.FixtureRequest) -> tuple[Any, Cases]:
    maker = globals().get(f"{request.param}_cases")
    assert maker is not None, f"task {request.param!r} has no tiny cases: add {request.param}_cases to this file"
    task, cases = maker()
    return task, cases


def test_it_overfits_four_cases(made: tuple[Any, Cases]) -> None:
    task, cases = made
    four = cases.take(np.arange(4))
    network = new_network(task, cases.shape, 1)
    before = evaluate(task, network, four)["loss"].value
    training = Training(steps=150, batch_size="full", learning_rate=0.02, optimiser="adam")
    Trainer(task, network, four, training, np.random.default_rng(0)).train()
    after = evaluate(task, network, four)
    least = 0.7 if couples(task) else 0.2  # equal times leave a loss that no order removes
    assert after["loss"].value < least * before
    assert after[task.headline].value > 0.9


def test_the_loss_is_one_number_a_case_and_of_that_case_alone(made: tuple[Any, Cases]) -> None:
    task, cases = made
    network = new_network(task, cases.shape, 1)
    together = task.loss(network, cases.batch())
    if couples(task):
        assert together.shape == (len(cases),)
        return
    alone = torch.cat([task.loss(network, cases.batch(np.array([index]))) for index in range(len(cases))])
    assert together.shape == (len(cases),)
    torch.testing.assert_close(together, alone)


def test_a_loss_of_believed_labels_is_the_loss_where_they_are_certain(made: tuple[Any, Cases]) -> None:
    task, cases = made
    if not can(task, "soft_loss"):
        return
    network, batch, space = new_network(task, cases.shape, 1), cases.batch(), task.label_space(cases.shape)
    certain = torch.zeros(len(batch), 0)
    if space[0]:
        certain = one_hot(batch.targets, space[0]).movedim(-1, 1).float()
    assert certain.shape == (len(batch), *space)
    torch.testing.assert_close(task.soft_loss(network, batch.inputs, certain), task.loss(network, batch))
    if can(task, "label_evidence"):
        weights = torch.tensor([0.5, 2.0, 1.0])
        weighed = task.soft_loss(network, batch.inputs, certain, weights)
        torch.testing.assert_close(weighed, weights[batch.targets] * task.loss(network, batch))


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_scores_of_hospitals_merge_exactly_into_those_of_all_patients(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TASKS.names()))
    task, cases = globals()[f"{name}_cases"]()
    network = new_network(task, cases.shape, data.draw(st.integers(0, 5)))
    hospital = np.array(data.draw(st.lists(st.integers(0, 2), min_size=6, max_size=6)))
    of_case = hospital[np.array([int(patient[1:]) for patient in cases.patients])]
    parts = [evaluate(task, network, cases.take(np.flatnonzero(of_case == index))) for index in range(3)]
    order = data.draw(st.permutations(range(3)))
    merged = merge(parts[index] for index in order)
    assert merged == (merge(parts) if scored_whole(task) else evaluate(task, network, cases))


def test_the_headline_is_among_the_scores(made: tuple[Any, Cases]) -> None:
    task, cases = made
    scores = evaluate(task, new_network(task, cases.shape, 1), cases)
    assert {task.headline, "loss"} <= scores.keys()


def test_augmentation_depends_on_its_generator_alone(made: tuple[Any, Cases]) -> None:
    task, cases = made
    if hasattr(task, "augmentation"):
        task = type(task)(augmentation="contrast")
    batch = cases.batch()
    first, second = (task.augment(batch, np.random.default_rng(4)) for _ in range(2))
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.targets, second.targets)
    assert first.inputs.shape == batch.inputs.shape


def test_predictions_are_class_indices_or_numbers(made: tuple[Any, Cases]) -> None:
    task, cases = made
    predicted = task.predict(new_network(task, cases.shape, 1), cases.batch().inputs)
    shapes = {"likelihood": (len(cases), 3), "c_index": (len(cases),)}
    assert predicted.shape == shapes.get(task.headline, cases.targets.shape)
    assert predicted.dtype == (torch.int64 if cases.classes else torch.float32)


SHAPES = {
    "logistic": Shape((13,), 2),
    "mlp": Shape((13,), 3),
    "mcmahan_2nn": Shape((1, 28, 28), 10),
    "mcmahan_cnn": Shape((1, 28, 28), 10),
    "groupnorm_cnn": Shape((1, 64, 64), 2),
    "unet": Shape((1, 32, 32), 4),
    "two_pathway": Shape((1, 32, 32), 4),
    "dilated": Shape((1, 32, 32), 4),
    "refinement": Shape((1, 32, 32), 4),
    "voxelmorph": Shape((2, 32, 24), 2),
    "affine_pair": Shape((2, 32, 24), 2),
}
PUBLISHED_PARAMETERS = {"mcmahan_2nn": 199_210, "mcmahan_cnn": 1_663_370, "logistic": 28}


@pytest.mark.parametrize("name", NETWORKS.names())
def test_a_network_is_sound_and_learns_with_all_its_parameters(name: str) -> None:
    assert name in SHAPES, f"network {name!r} has no shape to be tested with: add one to SHAPES"
    shape = SHAPES[name]
    torch.manual_seed(0)
    network = NETWORKS.build(Entry(name)).build(shape)
    refuse_unsuitable(network)
    logits = network(torch.randn(2, *shape.inputs))
    assert logits.shape[:2] == (2, shape.classes)
    logits.square().sum().backward()
    assert (read_gradient(network) != 0).mean() > 0.3
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert read(network).size == PUBLISHED_PARAMETERS.get(name, read(network).size)


@pytest.mark.parametrize(("name", "weights"), [("groupnorm_cnn", 278_000), ("mcmahan_cnn", 2_360_000)])
def test_a_network_of_images_classifies_volumes_too(name: str, weights: int) -> None:
    torch.manual_seed(0)
    network = NETWORKS.build(Entry(name)).build(Shape((1, 16, 16, 16), 3))
    assert network(torch.randn(2, 1, 16, 16, 16)).shape == (2, 3)
    assert read(network).size == pytest.approx(weights, rel=0.01)


def test_the_small_cnn_has_about_a_hundred_thousand_parameters() -> None:
    network = NETWORKS.build(Entry("groupnorm_cnn")).build(SHAPES["groupnorm_cnn"])
    assert 80_000 < read(network).size < 120_000


@pytest.mark.parametrize(
    ("name", "shape"),
    [("unet", Shape((1, 30, 33), 2)), ("unet", Shape((5,), 2)), ("mcmahan_cnn", Shape((5,), 2))],
)
def test_a_shape_that_does_not_fit_is_refused(name: str, shape: Shape) -> None:
    with pytest.raises(StudyError):
        NETWORKS.build(Entry(name)).build(shape)


def test_a_network_for_images_is_refused_where_outlines_are_asked_for() -> None:
    task = TASKS.build(Entry("segmentation", {"network": "groupnorm_cnn"}))
    with pytest.raises(StudyError):
        task.build_network(Shape((1, 32, 32), 2))
