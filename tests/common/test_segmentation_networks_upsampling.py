"""Every way of enlarging: by hand, against torch's interpolation, and undone by its pooling."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d, avg_pool3d, interpolate, max_unpool2d, max_unpool3d

from common.segmentation.upsampling import (
    LINEAR,
    AverageUnpooling,
    FixedLinear,
    Interpolation,
    Upsampling,
    enlarging,
    layer_of,
    max_pooled,
    max_unpooled,
)

KINDS = get_args(Upsampling)


def features(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 3), st.integers(1, 5), st.integers(1, 3), st.lists(st.integers(1, 6), min_size=3, max_size=3))
def test_fixed_weights_give_the_interpolation(dimensions: int, factor: int, channels: int, sides: list[int]) -> None:
    inputs = features(0, 2, channels, *sides[:dimensions]).float()
    expected = interpolate(inputs, scale_factor=factor, mode=LINEAR[dimensions], align_corners=False)
    torch.testing.assert_close(FixedLinear(dimensions, factor)(inputs), expected, atol=1e-5, rtol=1e-5)


def test_fixed_weights_are_not_learned_and_not_saved() -> None:
    module = FixedLinear(2, 2)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}


def test_linear_enlargement_of_two_pixels_by_hand() -> None:
    inputs = torch.tensor([[[[0.0, 4.0]]]])
    for module in (Interpolation("bilinear", 2), FixedLinear(2, 2)):
        assert module(inputs).tolist() == [[[[0.0, 1.0, 3.0, 4.0]] * 2]]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 4, 3)])
def test_average_pooling_undoes_average_unpooling_which_repeats_the_nearest(shape: tuple[int, ...]) -> None:
    inputs = features(1, *shape)
    enlarged = AverageUnpooling(3)(inputs)
    pool = avg_pool2d if len(shape) == 4 else avg_pool3d
    torch.testing.assert_close(pool(enlarged, 3), inputs)
    assert torch.equal(enlarged, Interpolation("nearest", 3)(inputs))


def test_switches_put_every_maximum_back_in_its_place() -> None:
    inputs = torch.tensor([[[[1.0, 2.0, 9.0, 0.0], [4.0, 3.0, 5.0, 6.0]]]])
    pooled, switches = max_pooled(inputs)
    assert pooled.tolist() == [[[[4.0, 9.0]]]]
    assert switches.tolist() == [[[[4, 2]]]]
    assert max_unpooled(pooled, switches).tolist() == [[[[0.0, 0.0, 9.0, 0.0], [4.0, 0.0, 0.0, 0.0]]]]


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (2, 3, 4, 2, 6)])
def test_max_pooling_undoes_max_unpooling(shape: tuple[int, ...]) -> None:
    inputs = features(2, *shape).abs()
    pooled, switches = max_pooled(inputs)
    unpooled = max_unpooled(pooled, switches)
    assert torch.equal(max_pooled(unpooled)[0], pooled)
    assert torch.equal(unpooled[unpooled != 0], inputs[unpooled != 0])
    unpool = max_unpool2d if len(shape) == 4 else max_unpool3d
    assert torch.equal(unpooled, unpool(pooled, switches, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_way_enlarges_and_can_be_learned_through(kind: Upsampling, dimensions: int) -> None:
    torch.manual_seed(0)
    module = enlarging(kind, dimensions, 6, 4)
    inputs = features(3, 2, 6, *(3,) * dimensions).float().requires_grad_()
    switches = max_pooled(features(4, 2, 4, *(6,) * dimensions))[1]
    answer = module(inputs, switches) if kind == "max_unpooling" else module(inputs)
    assert answer.shape == (2, 4, *(6,) * dimensions)
    answer.square().sum().backward()
    assert inputs.grad is not None and bool((inputs.grad != 0).all())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "max_unpooling"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_layer_of_an_enlargement_is_what_an_impulse_spreads_over(kind: Upsampling, factor: int) -> None:
    module = enlarging(kind, 2, 1, 1, factor)
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 1.0 if parameter.ndim > 1 else 0.0)
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[0, 0, 2, 2] = 1
    touched = int((module(impulse)[0, 0, 2 * factor + factor // 2] != 0).sum())
    assert touched == layer_of(kind, factor).kernel
