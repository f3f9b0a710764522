"""Layers that networks share."""

from __future__ import annotations

import pytest
import torch

from common.data.cases import Shape
from common.learning.networks.unet import UNet


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
