"""Patches that training draws, windows that pass over whole volumes, and truth that preprocessing lost."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from client.evaluation import evaluate
from client.private_training import PrivateTrainer
from client.training import Trainer
from common.data.cases import Batch, Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import new_network, read
from common.learning.score_names import statistic_names
from common.segmentation.patches import cut, cut_patches, draw_starts
from common.segmentation.windows import gaussian, window_starts, windowed_logits
from common.study.catalogue import TASKS
from common.study.options import Entry


def a_task(**options: Any) -> Any:
    return TASKS.build(Entry("segmentation", {"network": {"name": "unet", "channels": 2, "depth": 2}, **options}))


def ragged(count: int = 4, removed: Any = None, seed: int = 0) -> Cases:
    """Volumes of unlike shape, a cube of each outlined."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for index in range(count):
        outlined = np.zeros((6 + index, 7, 9 - index), np.uint8)
        outlined[1:4, 2:5, 1:4] = 1
        images.append((outlined + 0.1 * rng.normal(size=outlined.shape)).astype(np.float32)[None])
        labels.append(outlined)
    names = [f"p{index // 2}" for index in range(count)]
    return Cases.of(images, labels, names, ("none", "cube"), spacing_mm=(1.0, 1.0, 2.0), removed=removed)


class Ramp(nn.Module):
    """Logits that depend on where in the window a voxel is, so that every weight shows."""

    def forward(self, inputs: Tensor) -> Tensor:
        places = torch.arange(inputs[0, 0].numel()).reshape(inputs.shape[2:]).float()
        return torch.stack([inputs[:, 0] * places, inputs[:, 0].square() - places], dim=1)


def slow_logits(network: nn.Module, image: Tensor, patch: tuple[int, ...], overlap: float) -> np.ndarray:
    """Every voxel by itself: the weighted mean of what each window that holds it says of it."""
    shape, weights = tuple(image.shape[1:]), gaussian(patch).double().numpy()
    total, seen = np.zeros((2, *shape)), np.zeros(shape)
    sides = []
    for length, side in zip(shape, patch, strict=True):
        step = int(side * (1 - overlap))
        count = 1
        while (count - 1) * step + side < length:
            count += 1
        sides.append([round((length - side) * k / (count - 1)) if count > 1 else 0 for k in range(count)])
    for start in product(*sides):
        place = tuple(slice(a, a + side) for a, side in zip(start, patch, strict=True))
        logits = network(image[(slice(None), *place)][None])[0].double().numpy()
        for voxel in np.ndindex(*patch):
            there = tuple(a + b for a, b in zip(start, voxel, strict=True))
            total[(slice(None), *there)] += logits[(slice(None), *voxel)] * weights[voxel]
            seen[there] += weights[voxel]
    return total / seen


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_windows_agree_with_a_slow_loop(data: st.DataObject) -> None:
    dimensions = data.draw(st.sampled_from([2, 3]))
    patch = tuple(data.draw(st.integers(2, 4)) for _ in range(dimensions))
    shape = tuple(data.draw(st.integers(side, 2 * side + 2)) for side in patch)
    overlap = data.draw(st.sampled_from([0.0, 0.25, 0.5]))
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32))
    found = windowed_logits(Ramp(), image, patch, overlap)
    if shape == patch:
        assert torch.equal(found, Ramp()(image[None])[0])
    np.testing.assert_allclose(found.numpy(), slow_logits(Ramp(), image, patch, overlap), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 8, 3)])
def test_a_window_that_holds_the_volume_is_a_plain_pass(shape: tuple[int, ...]) -> None:
    network = a_task().build_network(Shape((1, 8, 8, 8), 2))
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32))
    filled, start = torch.full((1, 8, 8, 8), float(image.min())), [(8 - side) // 2 for side in shape]
    place = (slice(None), *(slice(a, a + side) for a, side in zip(start, shape, strict=True)))
    filled[place] = image
    torch.testing.assert_close(windowed_logits(network, image, (8, 8, 8), 0.5), network(filled[None])[0][place])


@given(st.integers(1, 40), st.integers(1, 12), st.floats(0, 0.9))
def test_windows_cover_every_voxel_and_overlap_as_asked(length: int, side: int, overlap: float) -> None:
    side = min(side, length)
    starts = [start for (start,) in window_starts((length,), (side,), overlap)]
    assert (starts[0], starts[-1]) == (0, length - side)
    assert all(0 < b - a <= max(1, side * (1 - overlap)) + 1 for a, b in pairwise(starts))


def test_windows_lie_as_in_nnunet() -> None:
    assert [start for (start,) in window_starts((110,), (64,), 0.5)] == [0, 23, 46]


def test_weights_are_largest_in_the_middle_and_never_nothing() -> None:
    weights = gaussian((8, 9)).numpy()
    assert weights.max() == 1 and weights.min() == np.float32(1e-3)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])
    assert weights[3, 5] / weights[3, 4] == pytest.approx(np.exp(-0.5 * (8 / 9) ** 2), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]))
def test_patches_have_their_shape_and_lie_within_or_in_the_middle(seed: int, share: float) -> None:
    targets = [torch.zeros(9, 4, 6, dtype=torch.int64), torch.zeros(3, 8, 8, dtype=torch.int64)]
    targets[0][8, 0, 0] = 1
    starts = draw_starts(targets, (4, 6, 5), share, np.random.default_rng(seed))
    assert all(0 <= a <= 5 for a in (starts[0][0],)) and starts[0][1] == -1 and starts[1][0] == 0 - 0
    images, outlines = cut_patches([target[None].float() for target in targets], targets, starts, (4, 6, 5))
    assert (images.shape, outlines.shape) == ((2, 1, 4, 6, 5), (2, 4, 6, 5))
    assert torch.equal(images[:, 0], outlines.float())
    if share == 1:
        assert outlines[0].sum() == 1


def test_of_two_structures_the_small_one_is_drawn_as_often() -> None:
    target = torch.zeros(40, dtype=torch.int64)
    target[:30], target[39] = 1, 2
    rng = np.random.default_rng(0)
    small = sum(draw_starts([target], (2,), 1.0, rng)[0][0] == 38 for _ in range(200))
    assert 70 < small < 130


def test_a_cut_beyond_the_border_is_filled_by_channel() -> None:
    values = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    assert cut(values, (-1,), (5,), torch.tensor([0.0, -1])).tolist() == [[0, 1, 2, 3, 0], [-1, 4, 5, 6, -1]]
    assert cut(values, (1,), (2,)).tolist() == [[2, 3], [5, 6]]


def test_a_task_of_patches_trains_scores_and_predicts_cases_of_unlike_shape() -> None:
    task, cases = a_task(patch=[6, 6, 6], scores=["dice", "hd95"]), ragged()
    assert cases.shape.inputs == (1, 0, 7, 0)
    network = new_network(task, cases.shape, 1)
    before = evaluate(task, network, cases)
    training = Training(steps=10, batch_size=4, learning_rate=0.02, optimiser="adam")
    Trainer(task, network, cases, training, np.random.default_rng(0)).train()
    scores = evaluate(task, network, cases)
    assert scores["loss"].value < 0.9 * before["loss"].value
    assert set(scores) == set(statistic_names(task, cases.shape)) - {"hd95_voxels"}
    one = cases.batch(np.array([2]))
    assert task.predict(network, one.inputs).shape == (1, 8, 7, 7)
    assert task.loss(network, cases.batch()).shape == (4,)


def test_what_is_drawn_follows_the_generator_alone() -> None:
    task, batch = a_task(patch=[4, 4, 4], augmentation="contrast"), ragged().batch()
    first, second = (task.augment(batch, np.random.default_rng(5)) for _ in range(2))
    other = task.augment(batch, np.random.default_rng(6))
    assert torch.equal(first.inputs, second.inputs) and torch.equal(first.targets, second.targets)
    assert not torch.equal(first.inputs, other.inputs)


def test_private_training_draws_a_patch_from_each_case_alone() -> None:
    task, cases = a_task(patch=[4, 4, 4]), ragged()
    network = new_network(task, cases.shape, 1)
    trainer = PrivateTrainer(
        task,
        network,
        cases,
        Training(steps=1),
        1e9,
        lambda total: total,
        "sample",
        1.0,
        np.random.default_rng(3),
    )
    together = trainer.clipped_sum()
    rng, alone = np.random.default_rng(3), np.zeros_like(read(network))
    rng.random(len(cases))
    for index in range(len(cases)):
        network.zero_grad()
        task.loss(network, task.augment(cases.batch(np.array([index])), rng)).sum().backward()
        alone += np.concatenate(
            [p.grad.reshape(-1).numpy() for _, p in sorted(network.named_parameters()) if p.grad is not None]
        )
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_cases_of_unlike_shape_without_patches_are_refused_with_what_to_write() -> None:
    with pytest.raises(StudyError, match=r"name task.patch.*3 numbers.*source.size"):
        new_network(a_task(), ragged().shape, 1)
    with pytest.raises(StudyError, match=r"task.patch is \[4, 4\], but the cases have 3 axes"):
        new_network(a_task(patch=[4, 4]), ragged().shape, 1)
    with pytest.raises(StudyError, match=r"patch\[1\] must be above zero"):
        a_task(patch=[4, 0])


class AllCube(nn.Module):
    """Says class 1 wherever the image is above one half."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([0.5 - inputs, inputs - 0.5], dim=1)


def scored(image: Any, truth: Any, removed: Any = None, **options: Any) -> dict[str, float]:
    """Scores of a network that says the image."""
    columns = {} if removed is None else {"removed": torch.tensor(removed)}
    batch = Batch.of(
        torch.tensor(np.array(image), dtype=torch.float32)[:, None],
        torch.tensor(np.array(truth)),
        ["p"] * len(image),
        spacing_mm=(1.0, 1.0),
        **columns,
    )
    return {name: mean.value for name, mean in a_task(**options).score(AllCube(), batch).items() if mean.weight}


def test_a_labelled_voxel_that_was_cut_off_lowers_every_overlap_as_the_whole_truth_would() -> None:
    scores = ["dice", "jaccard", "sensitivity", "precision", "pooled_dice", "pooled_sensitivity"]
    whole_truth = np.zeros((1, 6, 4), np.int64)
    whole_truth[0, 0, 1], whole_truth[0, 2:4, 1] = 1, 1
    said = whole_truth.copy()
    said[0, 0, 1] = 0
    whole = scored(said, whole_truth, scores=scores)
    cropped = scored(said[:, 1:5], whole_truth[:, 1:5], [[0, 1]], scores=scores)
    assert cropped["dice"] == pytest.approx(0.8)
    assert {name: value for name, value in cropped.items() if name != "loss"} == {
        name: value for name, value in whole.items() if name != "loss"
    }


def test_a_structure_of_which_nothing_is_left_is_missed_and_not_forgotten() -> None:
    empty = np.zeros((2, 4, 4), np.int64)
    full = empty.copy()
    full[1, 1:3, 1:3] = 1
    scores = ["dice", "hd95", "surface_dice"]
    assert "dice" not in scored(empty, empty, scores=scores)
    gone = scored(empty, empty, [[0, 3], [0, 0]], scores=scores)
    assert (gone["dice"], gone["missed"], gone["surface_dice"]) == (0, 1, 0)
    half = scored(full, full, [[0, 4], [0, 0]], scores=scores)
    assert half["dice"] == pytest.approx(2 * 4 / (2 * 4 + 4))
    assert (half["missed"], half["hd95"]) == (0.5, 0)
