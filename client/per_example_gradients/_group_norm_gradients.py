"""The backward pass of group normalisation (Wu and He 2018) with the gradients of weight and bias of every case.

PyTorch adds these two up over the batch. With g the gradient of what came out, x what went in, w the weight, and m
and s the mean and one over the spread of a group of D values, for a case and a channel let a be the sum over pixels
of g, and b that of g x. Then a is the bias' gradient and (b - a m) s the weight's; and with A and B the sums over the
group's channels of a w and b w the inputs' is s w g + p x + q, p = (A m - B) s^3 / D, q = -p m - A s / D.
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor

_backward = torch.ops.aten.native_group_norm_backward

SMALLEST_BY_FORMULA = 1 << 15
"""Values of a case, channels innermost, from which it is worked out by the formula. Measured, 16 cases of 64 x 64:
2.4 ms, and by PyTorch, one case after the other, 2.9 (16 channels); .9 and 1.7 (8 cases, 8 channels)."""
TOGETHER = 1 << 18
"""Values of cases that are worked out at once, so that they stay in the cache."""
LEAST_INNERMOST = 16
"""Fewer channels are treated as those of several pixels beside each other: so many values are added at once."""

Gradients = tuple[Tensor, Tensor, Tensor]
"""Of the inputs, and (N, channels) of weight and bias."""


def group_norm_backward(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, weight: Tensor | None, groups: int
) -> Gradients:
    """grad, inputs: (N, channels, ...) float32, laid out alike. mean, scale: (N, groups), scale 1 over the spread."""
    gain = inputs.new_ones(inputs.shape[1]) if weight is None else weight
    if inputs.is_contiguous():
        return _channels_outermost(grad, inputs, mean, scale, gain, groups)
    if inputs[0].numel() >= SMALLEST_BY_FORMULA:
        return _by_formula(grad, inputs, mean, scale, gain)
    cases, channels, pixels = *inputs.shape[:2], inputs[0, 0].numel()
    sizes = (cases, channels, pixels, groups)
    found = _backward(grad, inputs, mean, scale, gain, *sizes, (True, False, False))[0]
    sums, products = grad.flatten(2).sum(2), (grad * inputs).flatten(2).sum(2)
    return found, (products - sums * _spread(mean, channels)) * _spread(scale, channels), sums


def _channels_outermost(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, weight: Tensor, groups: int
) -> Gradients:
    """All channels of all cases are those of one case, so that nothing is added up over cases."""
    cases, channels = inputs.shape[:2]
    whole = [values.reshape(1, cases * channels, -1) for values in (grad, inputs)]
    moments = [values.reshape(1, -1) for values in (mean, scale)]
    sizes = (1, cases * channels, whole[0].shape[2], cases * groups)
    found, weights, biases = _backward(*whole, *moments, weight.repeat(cases), *sizes, (True, True, True))
    return found.view(inputs.shape), weights.view(cases, channels), biases.view(cases, channels)


def _by_formula(grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, weight: Tensor) -> Gradients:
    cases, channels, pixels = *inputs.shape[:2], inputs[0, 0].numel()
    beside = gcd(pixels, max(1, LEAST_INNERMOST // channels))
    rows = [values.movedim(1, -1).reshape(cases, -1, channels * beside) for values in (grad, inputs)]
    found, weights, biases = (
        torch.empty_like(rows[0]),
        grad.new_empty(cases, channels),
        grad.new_empty(cases, channels),
    )
    together = max(1, TOGETHER // (pixels * channels))
    for start in range(0, cases, together):
        some = slice(start, start + together)
        parts = (rows[0][some], rows[1][some], mean[some], scale[some], weight, found[some])
        weights[some], biases[some] = _of_some(*parts)
    shape = (cases, *inputs.shape[2:], channels)
    return found.view(shape).movedim(-1, 1), weights, biases


def _of_some(
    grad: Tensor, inputs: Tensor, mean: Tensor, scale: Tensor, weight: Tensor, found: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias; those of the inputs go into `found`.

    grad, inputs: (n, rows, channels of a pixel or of several beside each other).
    """
    channels, beside = len(weight), grad.shape[2] // len(weight)
    sums = grad.sum(1).view(-1, beside, channels).sum(1)
    products = torch.mul(grad, inputs, out=found).sum(1).view(-1, beside, channels).sum(1)
    values = grad.shape[1] * grad.shape[2] // mean.shape[1]
    a, b = ((part * weight).view(*mean.shape, -1).sum(2) for part in (sums, products))
    p = (a * mean - b) * scale**3 / values
    q = -p * mean - a * scale / values
    factors = (_spread(scale, channels) * weight, _spread(p, channels), _spread(q, channels))
    by_grad, by_inputs, beyond = (part.repeat(1, beside)[:, None] for part in factors)
    torch.mul(grad, by_grad, out=found).addcmul_(inputs, by_inputs).add_(beyond)
    return (products - sums * _spread(mean, channels)) * _spread(scale, channels), sums


def _spread(values: Tensor, channels: int) -> Tensor:
    """(N, channels) of (N, groups): every channel has its group's."""
    return values.repeat_interleave(channels // values.shape[1], 1)
