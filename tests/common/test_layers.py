"""Layers that networks share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from client.clipped_sums import clipped_sum
from client.clipping import CaseLoss
from client.per_example_gradients.loop import by_loop
from common.data.cases import Cases, Shape
from common.learning.layers import StandardisedWeights, convolution
from common.learning.networks.unet import UNet
from common.learning.parameters import new_network
from common.study.catalogue import TASKS
from common.study.options import Entry


@pytest.mark.parametrize("sides", [(16, 16), (8, 8, 8)])
def test_an_image_has_the_same_gradient_where_layers_are_frozen(sides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = UNet(channels=4, depth=3).build(Shape((1, *sides), 2))
    image = torch.randn(1, 1, *sides).requires_grad_(True)
    weights = torch.randn(1, 2, *sides)
    (free,) = torch.autograd.grad((network(image) * weights).sum(), [image])
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    (frozen,) = torch.autograd.grad((network(image) * weights).sum(), [image])
    assert free.abs().max() > 0
    torch.testing.assert_close(frozen, free)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_standardised_kernel_adds_nothing_where_all_channels_are_one_number(dimensions: int) -> None:
    torch.manual_seed(0)
    layer = StandardisedWeights(convolution(dimensions, 3, 4, 3, bias=False))
    inside = (..., *[slice(1, -1)] * dimensions)
    answered = layer(torch.full((2, 3, *[5] * dimensions), 0.7))[inside]
    torch.testing.assert_close(answered, torch.zeros_like(answered))


def test_a_standardised_kernel_is_less_its_mean_and_over_the_root_of_its_sum_of_squares() -> None:
    made = convolution(2, 1, 1, 3, bias=False)
    kernel = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    with torch.no_grad():
        for weights in made.parameters():
            weights.copy_(kernel[None, None])
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 1.0
    shown = StandardisedWeights(made)(image)[0, 0].flip(0, 1)
    torch.testing.assert_close(shown, (kernel - 5) / 60**0.5)


def test_a_standardised_kernel_is_the_same_at_any_size_and_finite_where_its_numbers_are_one() -> None:
    torch.manual_seed(0)
    layer = StandardisedWeights(convolution(2, 2, 3, 3, bias=False))
    image = torch.randn(1, 2, 6, 6)
    before = layer(image)
    with torch.no_grad():
        for weights in layer.parameters():
            weights.mul_(3)
    torch.testing.assert_close(layer(image), before)
    with torch.no_grad():
        for weights in layer.parameters():
            weights.fill_(0.5)
    assert not layer(image).any()


def test_gradients_clipped_case_by_case_are_right_through_standardised_kernels() -> None:
    network = {"name": "groupnorm_cnn", "channels": 4, "standardised": True}
    task = TASKS.build(Entry("classification", {"network": network}))
    images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    cases = Cases.of(images, np.array([0, 1, 0]), ["a", "b", "c"], ("no", "yes"))
    loss = CaseLoss(task, new_network(task, cases.shape, 0), "float32")
    wanted = by_loop(loss, cases.batch(), 0.1)
    found = clipped_sum(loss, [cases.take(np.array([i])).batch() for i in range(3)], 0.1)
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(found, wanted, atol=1e-6)
