"""The task segmentation on volumes and with deep supervision, and what augmentation does to volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy as cross_entropy_of_torch

from client.evaluation import evaluate
from client.training import Trainer
from common.data.cases import Batch, Cases
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.segmentation.augmentation import AugmentationDraws, augmented, draw
from common.segmentation.deep_supervision import deep_losses, level_weights, logits_of_levels
from common.segmentation.loss import cross_entropy, soft_dice_loss
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.sums.mean import merge

NETWORKS: list[dict[str, Any]] = [
    {"name": "unet", "channels": 4, "depth": 2},
    {"name": "unet", "channels": 4, "depth": 3, "deep_supervision": True},
    {"name": "two_pathway", "widths": [8, 8], "hidden": 8, "reduction": 4},
    {"name": "dilated", "channels": 8, "dilations": [1, 2, 4]},
]
DEEP = NETWORKS[1]


def volumes(count: int = 4, side: int = 8) -> Cases:
    rng = np.random.default_rng(0)
    masks = np.zeros((count, side, side, side), np.uint8)
    for index, mask in enumerate(masks):
        mask[index % 3 + 1 : index % 3 + 5, 1:4, 1:5] = 1
        mask[index % 3 + 1 : index % 3 + 5, 4:7, 1:5] = 2
    inputs = (masks + 0.1 * rng.normal(size=masks.shape)).astype(np.float32)[:, None]
    return Cases.of(inputs, masks, np.array([f"p{index}" for index in range(count)]), ("none", "one", "two"))


def task_with(network: dict[str, Any], **options: Any) -> Any:
    return TASKS.build(Entry("segmentation", {"network": network, **options}))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_every_network_overfits_four_volumes(network: dict[str, Any]) -> None:
    task, cases = task_with(network), volumes()
    model = new_network(task, cases.shape, 1)
    training = Training(steps=80, batch_size="full", learning_rate=0.01, optimiser="adam")
    Trainer(task, model, cases, training, np.random.default_rng(0)).train()
    scores = evaluate(task, model, cases)
    assert scores["dice"].value > 0.9
    assert {"dice_1", "dice_2", "loss"} <= scores.keys()


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_volumes_loss_is_of_that_volume_alone(network: dict[str, Any]) -> None:
    task, cases = task_with(network), volumes()
    model = new_network(task, cases.shape, 1)
    together = task.loss(model, cases.batch())
    alone = torch.cat([task.loss(model, cases.batch(np.array([index]))) for index in range(len(cases))])
    assert together.shape == (4,)
    torch.testing.assert_close(together, alone)


def test_scores_of_volumes_merge_exactly() -> None:
    task, cases = task_with(NETWORKS[0]), volumes(6)
    model = new_network(task, cases.shape, 2)
    parts = [evaluate(task, model, cases.take(np.array(own))) for own in ([4, 1], [0], [5, 2, 3])]
    assert merge(parts) == evaluate(task, model, cases)


def test_a_volume_is_outlined_voxel_by_voxel() -> None:
    task, cases = task_with(DEEP), volumes()
    predicted = task.predict(new_network(task, cases.shape, 1), cases.batch().inputs)
    assert (predicted.shape, predicted.dtype) == (cases.targets.shape, torch.int64)


def test_the_losses_of_a_volume_by_hand() -> None:
    """Two voxels, one of each class, the network sure of nothing: p = 1/2 everywhere."""
    targets = torch.tensor([[[[0, 1]]]])
    probabilities = torch.full((1, 2, 1, 1, 2), 0.5)
    assert soft_dice_loss(probabilities, targets).tolist() == pytest.approx([1 - (2 * 0.5 + 1) / (1 + 1 + 1)])
    assert cross_entropy(probabilities.log(), targets).tolist() == pytest.approx([np.log(2)])


def test_a_volumes_losses_are_those_of_its_slices_laid_side_by_side() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, 6, generator=generator)
    targets = torch.randint(0, 3, (2, 4, 5, 6), generator=generator)
    flat, flat_targets = logits.flatten(2, 3), targets.flatten(1, 2)
    for_volume, for_image = logits.log_softmax(1), flat.log_softmax(1)
    torch.testing.assert_close(cross_entropy(for_volume, targets), cross_entropy(for_image, flat_targets))
    torch.testing.assert_close(
        soft_dice_loss(for_volume.exp(), targets), soft_dice_loss(for_image.exp(), flat_targets)
    )
    torch.testing.assert_close(cross_entropy(for_volume, targets).mean(), cross_entropy_of_torch(logits, targets))


def test_coarser_levels_weigh_half_as_much_each() -> None:
    assert level_weights(1) == (1.0,)
    assert level_weights(3) == pytest.approx((4 / 7, 2 / 7, 1 / 7))


def test_the_deep_loss_is_the_weighted_mean_over_levels_of_one_size() -> None:
    levels = [torch.full((2, 3, 8, 4), 6.0), torch.full((2, 3, 4, 2), 3.0), torch.full((2, 3, 2, 1), 0.0)]
    means = deep_losses(lambda logits: logits.sum((1, 2, 3)) / (3 * 8 * 4), levels)
    assert means.tolist() == pytest.approx([(4 * 6 + 2 * 3) / 7] * 2)


def test_deep_supervision_teaches_every_level_and_scores_the_finest() -> None:
    task, cases = task_with(DEEP), volumes()
    model = new_network(task, cases.shape, 1)
    batch = cases.batch()
    finest = logits_of_levels(model, batch.inputs)[0]
    assert torch.equal(model(batch.inputs), finest)
    task.loss(model, batch).sum().backward()
    heads = [parameter for name, parameter in model.named_parameters() if "deep_heads" in name]
    assert len(heads) == 2
    assert all(bool((head.grad != 0).any()) for head in heads)
    plain = task_with({**DEEP, "deep_supervision": False})
    same = new_network(plain, cases.shape, 1)
    assert evaluate(plain, same, cases) == evaluate(task, model, cases)


def draws_without_change(count: int, shape: tuple[int, ...], mirrored: list[bool]) -> AugmentationDraws:
    ones, zeros = np.ones(count, np.float32), np.zeros(count, np.float32)
    return AugmentationDraws(
        ones, zeros.astype(bool), ones, zeros, np.zeros((count, *shape), np.float32), np.array(mirrored)
    )


def test_a_volume_is_mirrored_from_left_to_right_with_its_mask() -> None:
    cases = volumes(2)
    changed = augmented(cases.batch(), draws_without_change(2, (1, 8, 8, 8), [True, False]))
    np.testing.assert_allclose(changed.inputs[0], cases.inputs[0][:, ::-1], atol=1e-5)
    np.testing.assert_array_equal(changed.targets[0], cases.targets[0][::-1])
    np.testing.assert_allclose(changed.inputs[1], cases.inputs[1], atol=1e-5)
    np.testing.assert_array_equal(changed.targets[1], cases.targets[1])


def test_an_image_is_mirrored_along_its_last_axis() -> None:
    rng = np.random.default_rng(0)
    batch = Batch.of(
        torch.from_numpy(rng.normal(size=(1, 1, 3, 4)).astype(np.float32)), torch.arange(12).view(1, 3, 4), ("p",)
    )
    changed = augmented(batch, draws_without_change(1, (1, 3, 4), [True]))
    torch.testing.assert_close(changed.inputs, batch.inputs.flip(-1), atol=1e-5, rtol=1e-5)
    assert torch.equal(changed.targets, batch.targets.flip(-1))


def test_an_augmented_volume_keeps_its_shape_and_its_classes() -> None:
    cases = volumes(3)
    batch = cases.batch()
    changed = augmented(batch, draw(3, batch.inputs.shape[1:], np.random.default_rng(1)))
    assert changed.inputs.shape == batch.inputs.shape
    assert changed.inputs.dtype == torch.float32
    assert torch.equal(changed.targets.flatten(1).sort().values, batch.targets.flatten(1).sort().values)
    assert not torch.equal(changed.inputs, batch.inputs)


def test_a_study_gets_the_scores_it_names_and_dice_always() -> None:
    cases = volumes(3)
    named = ["sensitivity", "pooled_dice", "assd", "surface_dice", "lesion_f1"]
    task = task_with(NETWORKS[0], scores=named, surface="elements")
    model = new_network(task, cases.shape, 2)
    scores = evaluate(task, model, cases)
    assert set(scores) == {
        *("dice", "dice_1", "dice_2", "loss", "missed", "assd_voxels", "surface_dice_voxels"),
        *("sensitivity", "sensitivity_1", "sensitivity_2", "sensitivity_undefined"),
        *("pooled_dice", "pooled_dice_1", "pooled_dice_2"),
        *("lesion_f1", "lesion_f1_1", "lesion_f1_2"),
    }
    assert merge(evaluate(task, model, cases.take(np.array(own))) for own in ([2], [0, 1])) == scores
