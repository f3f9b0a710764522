"""The gradient of an image by a convolution of few channels, as a product of matrices: what PyTorch is slow at.

Ordinary training never asks for it, and each step within a step does. Measured, 16 grey images of 28 x 28 and 16
kernels of 3 x 3, one thread: 1.7 ms by PyTorch 2.13 with channels innermost, a quarter of a whole step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

FEW = 4
"""Channels of an image up to which the product is the faster one."""
_conv2d: Callable[..., Tensor] = functional.conv2d


class OfFewChannels(TorchFunctionMode):
    """Convolutions of few channels called within, whose kernels do not learn, have the gradient of this file."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is _conv2d and not given and _fits(*args):
            inputs, weight, bias, _, padding = args[:5]
            sides = (padding, padding) if isinstance(padding, int) else tuple(padding)
            return _Convolution.apply(inputs, weight, bias, sides)  # type: ignore[no-untyped-call]
        return func(*args, **given)


def _fits(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    plain = all(one in (1, (1, 1)) for one in (stride, dilation)) and groups == 1
    sized = isinstance(padding, int) or (isinstance(padding, tuple) and all(isinstance(one, int) for one in padding))
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    return plain and sized and not learns and inputs.ndim == 4 and inputs.requires_grad and weight.shape[1] <= FEW


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.padding = inputs.shape, padding
        return _conv2d(inputs, weight, bias, padding=padding)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        return gradient_of_inputs(grad, weight, ctx.shape, ctx.padding), None, None, None


def gradient_of_inputs(grad: Tensor, weight: Tensor, shape: tuple[int, ...], padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W) of `shape`. grad: (N, K, *S) of what was answered. weight: (K, C, *kernel)."""
    (count, kernels), (high, wide) = grad.shape[:2], grad.shape[2:]
    rows = grad.permute(0, 2, 3, 1).reshape(-1, kernels)
    parts = (weight.reshape(kernels, -1).T @ rows.T).reshape(*weight.shape[1:], count, high, wide)
    channels, tall, broad = weight.shape[1:]
    found = grad.new_zeros(channels, count, high + tall - 1, wide + broad - 1)
    for down in range(tall):
        for across in range(broad):
            found[:, :, down : down + high, across : across + wide] += parts[:, down, across]
    top, left = padding
    return found[:, :, top : top + shape[2], left : left + shape[3]].transpose(0, 1)
