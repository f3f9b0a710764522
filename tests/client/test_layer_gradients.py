"""Gradients of single layers case by case, by the ways that are fastest, against PyTorch's of one case at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from client.per_example_gradients import _convolution_weights as weights
from client.per_example_gradients import _group_norm_gradients as norms
from client.per_example_gradients import _rows_of_pixels as rows
from client.per_example_gradients._convolution_weights import Convolution
from client.per_example_gradients._group_norm_gradients import group_norm_backward
from common.seeding import torch_generator

CASES = 3
LAST = {3: torch.contiguous_format, 4: torch.channels_last, 5: torch.channels_last_3d}


def some_values(*shape: int, innermost: bool = False) -> Tensor:
    values = torch.randn(shape, generator=torch_generator(1, *shape))
    return values.contiguous(memory_format=LAST[len(shape)]) if innermost else values


def layer(
    axes: int, channels: tuple[int, int], kernel: int, stride: int, padding: int, dilation: int, transposed: bool
) -> tuple[nn.Module, Convolution]:
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    kind = kinds[axes - 1] if transposed else (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    beyond = {"output_padding": max(stride, dilation) - 1} if transposed else {}
    made = kind(*channels, kernel, stride, padding, dilation=dilation, bias=False, **beyond)
    every = tuple((number,) * axes for number in (stride, padding, dilation, beyond.get("output_padding", 0)))
    return made, Convolution(*every[:3], transposed, every[3], 1)


def one_at_a_time(module: nn.Module, inputs: Tensor, grad: Tensor) -> Tensor:
    """What autograd says of each case."""
    found = [
        torch.autograd.grad(module(one), module.weight, by)[0]
        for one, by in zip(inputs.split(1), grad.split(1), strict=True)
    ]
    return torch.stack(found)


@settings(max_examples=60, deadline=None)
@given(
    axes=st.integers(1, 3),
    channels=st.tuples(st.sampled_from([1, 2, 9]), st.sampled_from([1, 3, 10])),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    transposed=st.booleans(),
    innermost=st.booleans(),
)
@example(axes=2, channels=(9, 10), kernel=2, stride=1, padding=0, dilation=3, transposed=True, innermost=True)
def test_weights_gradients_are_those_of_single_cases(
    axes: int,
    channels: tuple[int, int],
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    transposed: bool,
    innermost: bool,
) -> None:
    sides: Sequence[int] = (9, 7, 6)[:axes]
    module, convolution = layer(axes, channels, kernel, stride, padding, dilation, transposed)
    inputs = some_values(CASES, channels[0], *sides, innermost=innermost)
    grad = some_values(*module(inputs).shape, innermost=innermost)
    found = convolution.weights_of_cases(grad, inputs, module.weight)
    torch.testing.assert_close(found, one_at_a_time(module, inputs, grad), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("channels", [2, 9])
def test_cases_that_do_not_fit_together_are_unfolded_one_after_the_other(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, convolution = layer(2, (channels, 4), 3, 1, 1, 1, transposed=False)
    inputs, grad = some_values(CASES, channels, 8, 8), some_values(CASES, 4, 8, 8)
    monkeypatch.setattr(weights, "UNFOLDED_TOGETHER", 2 * 64 * 9 * channels)
    found = convolution.weights_of_cases(grad, inputs, module.weight)
    torch.testing.assert_close(found, one_at_a_time(module, inputs, grad), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("channels", [(9, 12), (12, 9)])
def test_cases_that_do_not_fit_together_are_laid_in_rows_some_after_the_other(
    channels: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, convolution = layer(2, channels, 3, 1, 1, 1, transposed=False)
    inputs, grad = some_values(CASES, channels[0], 8, 7), some_values(CASES, channels[1], 8, 7)
    monkeypatch.setattr(rows, "VALUES_TOGETHER", 2 * 10 * 7 * 3 * 9)
    found = convolution.weights_of_cases(grad, inputs, module.weight)
    torch.testing.assert_close(found, one_at_a_time(module, inputs, grad), rtol=1e-4, atol=1e-3)


def test_a_kernel_of_one_pixel_whose_result_is_larger_than_what_it_looks_at_is_no_product_of_both() -> None:
    module, convolution = layer(2, (3, 9), 1, 1, 0, 2, transposed=True)
    inputs, grad = some_values(CASES, 3, 4, 5), some_values(CASES, 9, 5, 6)
    found = convolution.weights_of_cases(grad, inputs, module.weight)
    torch.testing.assert_close(found, one_at_a_time(module, inputs, grad), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_what_is_too_large_to_unfold_goes_through_convolutions_of_single_cases(
    axes: int, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "MOST_UNFOLDED", 0)
    module, convolution = layer(axes, (4, 6), 3, 2, 1, 1, transposed)
    inputs = some_values(CASES, 4, *(9, 7, 6)[:axes], innermost=True)
    grad = some_values(*module(inputs).shape, innermost=True)
    found = convolution.weights_of_cases(grad, inputs, module.weight)
    torch.testing.assert_close(found, one_at_a_time(module, inputs, grad), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("innermost", [False, True])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("shape", [(4, 5, 6), (8, 64, 64), (6, 75, 75), (20, 12, 12, 12), (16, 6, 6)])
def test_group_normalisation_is_that_of_single_cases(
    shape: tuple[int, ...], learned: bool, innermost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "TOGETHER", 1 << 16)
    inputs = some_values(CASES, *shape, innermost=innermost) * 3 + 1
    grad = some_values(CASES, *shape, innermost=innermost).flip(0)
    weight = some_values(shape[0], 1, 1).flatten() if learned else None
    sizes = (CASES, shape[0], inputs[0, 0].numel(), 2)
    _, mean, scale = torch.native_group_norm(inputs, weight, None, *sizes, 1e-5)
    laid = grad.contiguous(memory_format=LAST[inputs.ndim] if innermost else torch.contiguous_format)
    found = group_norm_backward(laid, inputs, mean, scale, weight, 2)
    gain, bias = (
        (weight if learned else torch.ones(shape[0])).requires_grad_(),
        torch.zeros(shape[0]).requires_grad_(),
    )
    for at in range(CASES):
        one = inputs[at : at + 1].clone().requires_grad_()
        made = nn.functional.group_norm(one, 2, gain, bias)
        expected = torch.autograd.grad(made, (one, gain, bias), grad[at : at + 1])
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine[at], theirs.reshape(mine[at].shape), rtol=1e-3, atol=3e-3)
