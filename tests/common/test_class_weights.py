"""Weights of classes: by hand, by torch and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from client.objective import class_weights
from client.training import Trainer
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.class_weights import balanced, with_weights
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.learning.tasks.segmentation import Segmentation
from common.study.options import Entry
from common.study.study import parse
from experiments.attacks.inversion.losses import soft_losses

TEXT = """
title = "Tiny"
source = { name = "phantom" }
task = "segmentation"
"""
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 0])


def cases() -> Cases:
    inputs = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    return Cases.of(inputs, LABELS, np.array([f"p{i}" for i in range(8)]), ("a", "b", "c"))


def masks() -> Cases:
    targets = np.zeros((2, 8, 8), np.uint8)
    targets[0, :2, :4] = 1
    targets[1, 7, 7] = 2
    inputs = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)
    return Cases.of(inputs, targets, np.array(["p", "q"]), ("none", "one", "two"))


def linear() -> Classification:
    return Classification(network=Entry("logistic"))


def test_balanced_weights_by_hand() -> None:
    assert balanced((5, 2, 1)) == (8 / 15, 8 / 6, 8 / 3)
    assert balanced((3, 0, 1)) == (4 / 6, 0.0, 4 / 2)


def test_balanced_weights_are_scikit_learns() -> None:
    peer = pytest.importorskip("sklearn.utils.class_weight", reason="scikit-learn is not installed")
    expected = peer.compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert balanced(tuple(np.bincount(LABELS).tolist())) == pytest.approx(expected.tolist())


def test_a_balanced_weight_is_one_on_average_over_all_that_was_counted() -> None:
    counts = (50, 7, 1, 0)
    weights = balanced(counts)
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) / sum(counts) == pytest.approx(1)


def test_a_case_counts_as_torch_weighs_it() -> None:
    own, weights, task = cases(), (0.5, 2.0, 3.0), linear()
    network = new_network(task, own.shape, 1)
    batch = with_weights(own.batch(), torch.tensor(weights))
    logits = network(own.batch().inputs)
    expected = cross_entropy(logits, own.batch().targets, weight=torch.tensor(weights), reduction="none")
    torch.testing.assert_close(task.loss(network, batch), expected)


def test_a_voxel_counts_as_torch_weighs_it_and_dice_is_as_it_was() -> None:
    own, weights = masks(), torch.tensor([0.1, 2.0, 30.0])
    options = {"network": Entry("unet", {"channels": 4, "depth": 1})}
    both, dice = Segmentation(**options), Segmentation(**options, cross_entropy_weight=0.0)
    network = new_network(both, own.shape, 1)
    batch = with_weights(own.batch(), weights)
    logits, targets = network(batch.inputs), batch.targets
    pixels = cross_entropy(logits, targets, weight=weights, reduction="none").flatten(1).mean(1)
    torch.testing.assert_close(both.loss(network, batch), pixels + dice.loss(network, own.batch()))


def test_patches_weigh_their_own_voxels() -> None:
    own, task = masks(), Segmentation(network=Entry("unet", {"channels": 4, "depth": 1}), patch=(4, 4))
    network = new_network(task, own.shape, 1)
    shown = task.augment(own.batch(), np.random.default_rng(0))
    batch = with_weights(shown, torch.tensor([0.0, 1.0, 1.0]))
    weight = batch.tensor("weight")
    assert weight.shape == (2, 4, 4)
    assert torch.equal(weight > 0, batch.targets > 0)
    assert task.loss(network, batch).shape == (2,)
    whole = with_weights(own.batch(), torch.tensor([1.0, 1.0, 1.0]))
    torch.testing.assert_close(task.loss(network, whole), task.loss(network, own.batch()))


def test_training_steps_along_the_weighted_gradient() -> None:
    own, weights = cases(), (0.5, 2.0, 3.0)
    training = Training(steps=1, batch_size="full", learning_rate=0.3, class_weights=weights)
    ours = Trainer(linear(), new_network(linear(), own.shape, 1), own, training, np.random.default_rng(0))
    update, _ = ours.local_update()
    network = new_network(linear(), own.shape, 1)
    loss = cross_entropy(network(own.batch().inputs), own.batch().targets, torch.tensor(weights), reduction="sum") / 8
    loss.backward()
    gradients = [p.grad.reshape(-1) for _, p in sorted(network.named_parameters())]
    np.testing.assert_allclose(update.mean()[0], -0.3 * torch.cat(gradients).numpy(), atol=1e-6)
    assert update.statistics["loss"].value == pytest.approx(loss.item(), rel=1e-6)


def test_hospitals_with_public_weights_add_up_to_all_their_cases() -> None:
    own = cases()
    training = Training(batch_size="full", class_weights="balanced", class_counts=(5, 2, 1))

    def gradient(part: Cases) -> np.ndarray:
        network = new_network(linear(), own.shape, 1)
        return Trainer(linear(), network, part, training, np.random.default_rng(0)).gradient_update().vectors[0]

    parts = gradient(own.take(np.arange(3))) + gradient(own.take(np.arange(3, 8)))
    np.testing.assert_allclose(parts, gradient(own), atol=1e-6)


def test_own_weights_are_by_the_hospitals_own_counts_of_cases_or_voxels() -> None:
    training = Training(class_weights="own")
    assert class_weights(cases(), training).tolist() == pytest.approx([8 / 15, 8 / 6, 8 / 3])
    assert class_weights(masks(), training).tolist() == pytest.approx([128 / (3 * 119), 128 / 24, 128 / 3])
    assert class_weights(cases(), Training()) is None


@pytest.mark.parametrize("task", [linear(), Segmentation(network=Entry("unet", {"channels": 4, "depth": 1}))])
def test_an_attacker_who_knows_the_study_weighs_as_hospitals_do(task: object) -> None:
    own = masks() if isinstance(task, Segmentation) else cases()
    weights = (0.5, 2.0, 3.0)
    network = new_network(task, own.shape, 1)
    batch = with_weights(own.batch(), torch.tensor(weights))
    truth = nn.functional.one_hot(batch.targets, 3).movedim(-1, 1).float()
    torch.testing.assert_close(soft_losses(task, weights)(network, batch.inputs, truth), task.loss(network, batch))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.class_weights=balanced"], r"needs training\.class_counts"),
        (["training.class_counts=[1, 2]"], r"are for training\.class_weights = 'balanced'"),
        (["training.class_weights=balanced", "training.class_counts=[1, 0]"], r"class_counts\[1\] must be above"),
        (["training.class_weights=[1.0, -1.0]"], r"class_weights\[1\] must be zero or more"),
        (["training.class_weights=[0.0, 0.0]"], "all 0"),
        (["training.class_weights=balancd"], "class_weights must be"),
        (["training.class_weights=own", "task.cross_entropy_weight=0"], "Dice loss counts each class alike"),
        (["training.class_weights=own", "task={name='regression', center=0, spread=1}"], "it learns no classes"),
        (["training.class_weights=own", "privacy={name='dpsgd', epsilon=1.0}"], "one changes the loss of others"),
    ],
)
def test_weights_that_mean_nothing_or_tell_of_patients_are_refused(overrides: list[str], message: str) -> None:
    partition = "partition={name='quantity', hospitals=3}"
    with pytest.raises(StudyError, match=message):
        parse(TEXT, [*overrides, partition] if "dpsgd" in overrides[-1] else overrides)


def test_as_many_weights_as_classes_are_needed() -> None:
    with pytest.raises(StudyError, match=r"training\.class_weights lists 2 classes; the cases are of 3"):
        new_network(linear(), Shape((3,), 3), 1, Training(class_weights=(1.0, 2.0)))
