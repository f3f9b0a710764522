"""The task of super-resolution: its beginning, what it refuses, back-projection, other factors, thick slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from client.training import Trainer
from common.data.cases import Cases, Shape
from common.errors import StudyError
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.reconstruction.interpolation import resized
from common.reconstruction.packing import Layout
from common.study.catalogue import OPERATORS, TASKS
from common.study.options import Entry

SMALL: dict[str, object] = {"network": {"name": "edsr", "channels": 4, "blocks": 1}}


def made(factor: int = 2, axes: tuple[int, ...] = (), **options: object) -> Any:
    operator: dict[str, object] = {"name": "downsampling", "factor": factor, "axes": list(axes)}
    return TASKS.build(
        Entry("superresolution", {"operator": operator, "design": {"name": "post", **SMALL}, **options})
    )


def measured(task: Any, truth: Tensor, noise: float = 0.0) -> Cases:
    layout = Layout.of(OPERATORS.build(task.operator), tuple(truth.shape[1:]))
    small = layout.operator.map(layout.image_shape, {}).forward(truth)
    small = small + noise * torch.randn(small.shape, generator=torch.Generator().manual_seed(3))
    return Cases.of(layout.pack(small, {}).numpy(), truth.numpy(), [f"p{index}" for index in range(len(truth))])


def smooth(*sides: int, cases: int = 4) -> Tensor:
    coarse = torch.rand(cases, 1, *(max(2, side // 4) for side in sides), generator=torch.Generator().manual_seed(0))
    return resized(coarse, sides)


def test_before_it_has_learned_it_answers_the_bicubic_image_whose_gain_is_none() -> None:
    task = made()
    cases = measured(task, smooth(16, 12))
    network = new_network(task, cases.shape, 1)
    wanted = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(cases.batch().targets, 2), (16, 12), mode="bicubic"
    )
    torch.testing.assert_close(network(cases.batch().inputs), wanted)
    assert task.score(network, cases.batch())["gain"].value == pytest.approx(0, abs=1e-5)


def test_back_projection_leaves_an_even_image_as_it_is_and_brings_others_nearer_to_what_was_measured() -> None:
    """Irani and Peleg (1991): what is measured of a constant image is that constant, and nothing is left to mend."""
    task = made(back_projections=3)
    even, uneven = (measured(task, one) for one in (torch.full((2, 1, 16, 16), 0.4), smooth(16, 16)))
    network = new_network(task, even.shape, 1)
    torch.testing.assert_close(network(even.batch().inputs), even.batch().targets)
    small, linear = task.layout(uneven.shape.inputs).unpack(uneven.batch().inputs)
    misfits = [(linear.forward(one) - small).norm() for one in (task.start(uneven.batch().inputs),)]
    misfits.append((linear.forward(network(uneven.batch().inputs)) - small).norm())
    assert misfits[1] < 0.9 * misfits[0]


def test_a_back_projection_by_hand() -> None:
    """One step of weight 0.1 from the bicubic image."""
    task = made(back_projections=1)
    cases = measured(task, smooth(8, 8))
    small = torch.nn.functional.avg_pool2d(cases.batch().targets, 2)
    begun = resized(small, (8, 8))
    wanted = begun + 0.1 * resized(small - torch.nn.functional.avg_pool2d(begun, 2), (8, 8))
    torch.testing.assert_close(new_network(task, cases.shape, 1)(cases.batch().inputs), wanted)


def test_what_is_left_of_the_bicubic_image_is_shown_beside_the_small_one() -> None:
    task, plain = made(shows_blur=True), made()
    cases = measured(task, smooth(8, 8))
    shown = [
        new_network(one, cases.shape, 1).state_dict()["body.body.body.first.weight"].shape for one in (task, plain)
    ]
    assert shown == [(4, 2, 3, 3), (4, 1, 3, 3)]


def test_a_network_trained_for_one_factor_is_used_for_another() -> None:
    trained, other = made(4), made(2, made_for=[4, 4])
    first = new_network(trained, measured(trained, smooth(16, 16)).shape, 1)
    cases = measured(other, smooth(16, 16))
    second = new_network(other, cases.shape, 2)
    second.load_state_dict(first.state_dict())
    assert second(cases.batch().inputs).shape == (4, 1, 16, 16)


@pytest.mark.parametrize("design", ["pre", "post", "progressive", "iterative"])
def test_thick_slices_become_thin_ones(design: str) -> None:
    options = {"channels": 2} if design == "iterative" else SMALL
    task = made(2, (2,), design={"name": design, **options})
    cases = measured(task, (smooth(8, 8, 6) > 0.5).float())
    network = new_network(task, cases.shape, 1)
    before = task.score(network, cases.batch())["psnr"].value
    training = Training(steps=40, batch_size="full", learning_rate=0.005, optimiser="adam")
    Trainer(task, network, cases, training, np.random.default_rng(0)).train()
    assert task.score(network, cases.batch())["psnr"].value > before


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"operator": "denoising"}, "enlarges small images"),
        ({"operator": {"name": "cartesian_mri"}}, "enlarges small images"),
        ({"made_for": [2]}, "must list 2 factors; it lists 1"),
    ],
)
def test_what_cannot_be_enlarged_is_refused(task: dict[str, object], words: str) -> None:
    options: dict[str, object] = {"operator": {"name": "downsampling", "factor": 2}, **task}
    planes = 2 if task.get("operator") != "denoising" and "operator" in task else 1
    shape = Shape((3 if planes == 2 else 1, 8, 8), 0)
    with pytest.raises(StudyError, match=words):
        TASKS.build(Entry("superresolution", options)).build_network(shape)
