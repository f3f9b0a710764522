"""I-JEPA predicts what its teacher, who sees the whole image, makes of each block from the context alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, smooth_l1_loss

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.parameters import companion_tensors, new_network, trainable
from common.learning.tokens import patchify, unpatchify
from common.study.catalogue import TASKS
from common.study.options import Entry

SMALL = {"name": "vit", "width": 8, "depth": 1, "heads": 2, "patch": 2}
SHAPE = Shape((1, 8, 8), 0)


def ijepa(**options: Any) -> Any:
    return TASKS.build(Entry("ijepa", {"network": SMALL, "blocks": 2, "predictor_width": 8, **options}))


def shown(task: Any, shape: Shape = SHAPE) -> Batch:
    inputs = torch.randn(3, *shape.inputs, generator=torch.Generator().manual_seed(0))
    batch: Batch = task.augment(Batch.of(inputs, torch.zeros(3), ["a", "b", "c"]), np.random.default_rng(0))
    return batch


@pytest.mark.parametrize("distance", ["l2", "smooth_l1"])
def test_the_loss_is_that_of_the_paper_block_by_block(distance: str) -> None:
    task = ijepa(distance=distance)
    network: Any = new_network(task, SHAPE, 0)
    batch = shown(task)
    with torch.no_grad():
        found = task.loss(network, batch)
        for row in range(3):
            image, context = batch.inputs[row : row + 1], batch.tensor("context")[row : row + 1]
            seen = network.encoder.encoded(network.encoder.tokens(image)[:, context[0]])
            teacher = network.teacher.encoder
            taught = layer_norm(teacher.encoded(teacher.tokens(image))[0], (8,))
            blocks = []
            for block in batch.tensor("blocks")[row]:
                predicted, truth = network.predictor(seen, context, block[None])[0], taught[block]
                apart = (predicted - truth).square().mean() if distance == "l2" else smooth_l1_loss(predicted, truth)
                blocks.append(float(apart))
            assert float(found[row]) == pytest.approx(np.mean(blocks), abs=1e-6)


def test_the_student_sees_the_context_alone() -> None:
    """Where the teacher is blind, other pixels of what is not shown change nothing."""
    task = ijepa()
    network: Any = new_network(task, SHAPE, 0)
    batch = shown(task)
    for one in network.teacher.parameters():
        one.data.zero_()
    patches = patchify(batch.inputs, (2, 2))
    kept = torch.zeros(3, 16, dtype=torch.bool).scatter(1, batch.tensor("context"), value=True)
    other = unpatchify(torch.where(kept[:, :, None], patches, 5.0), (2, 2), (8, 8))
    with torch.no_grad():
        assert torch.equal(task.loss(network, batch), task.loss(network, batch.with_columns(inputs=other)))


def test_the_teacher_follows_and_no_gradient_moves_it() -> None:
    task = ijepa(momentum=0.75)
    network: Any = new_network(task, SHAPE, 0)
    task.loss(network, shown(task)).sum().backward()
    assert {name.partition(".")[0] for name, _ in trainable(network)} == {"encoder", "predictor"}
    assert all(tensor.grad is None for _, tensor in companion_tensors(network))
    assert all(one.grad is not None for name, one in trainable(network) if "head" not in name)
    before = network.teacher.encoder.norm.bias.clone()
    network.encoder.norm.bias.data.add_(1.0)
    with torch.no_grad():
        task.follow(network)
    torch.testing.assert_close(network.teacher.encoder.norm.bias, before + 0.25)


def test_volumes_have_blocks_too() -> None:
    task, shape = ijepa(), Shape((1, 8, 4, 8), 0)
    batch = shown(task, shape)
    assert batch.tensor("blocks").shape[:2] == (3, 2)
    assert torch.isfinite(task.loss(new_network(task, shape, 0), batch)).all()


def test_a_network_without_patches_is_refused_and_another_task_named() -> None:
    with pytest.raises(StudyError, match="task 'mae'"):
        ijepa(network={"name": "groupnorm_cnn"})
    with pytest.raises(StudyError, match="smaller"):
        ijepa().build_network(Shape((1, 2, 4), 0))
