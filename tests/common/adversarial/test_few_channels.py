"""The product of matrices is the gradient that PyTorch works out, for every size that it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from common.adversarial.few_channels import OfFewChannels


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), st.integers(0, 1), st.booleans())
def test_it_is_the_gradient_of_autograd(
    channels: int, tall: int, broad: int, top: int, left: int, innermost: bool
) -> None:
    drawn = torch.Generator().manual_seed(channels + 10 * tall)
    layout = torch.channels_last if innermost else torch.contiguous_format
    inputs = torch.randn(3, channels, 6, 5, generator=drawn).contiguous(memory_format=layout).requires_grad_(True)
    weight, bias = torch.randn(4, channels, tall, broad, generator=drawn), torch.randn(4, generator=drawn)
    found = []
    for mode in (None, OfFewChannels()):
        if mode is None:
            answer = conv2d(inputs, weight, bias, 1, (top, left), 1, 1)
        else:
            with mode:
                answer = conv2d(inputs, weight, bias, 1, (top, left), 1, 1)
        found.append((answer, torch.autograd.grad(answer.sin().sum(), inputs)[0]))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changed", [{"stride": 2}, {"dilation": 2}, {"padding": "same"}, {"learns": True}, {"channels": 8}]
)
def test_whatever_else_is_left_to_pytorch(changed: dict[str, Any]) -> None:
    channels = changed.get("channels", 1)
    inputs = torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    weight = torch.ones(3, channels, 3, 3, requires_grad=changed.get("learns", False))
    given_ = (
        inputs,
        weight,
        None,
        changed.get("stride", 1),
        changed.get("padding", 0),
        changed.get("dilation", 1),
        1,
    )
    with OfFewChannels():
        answer = conv2d(*given_)
    assert (
        answer.grad_fn is not None and "Convolution" in answer.grad_fn.name() and "_Conv" not in answer.grad_fn.name()
    )
