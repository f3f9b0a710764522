"""The backward pass of group normalisation (Wu and He 2018) with the gradients of weight and bias of every case.

PyTorch adds these two up over the batch. With g the gradient of what came out, x what went in, w the weight, and m
and s the mean and one over the spread of a group of D values, for a case and a channel let a be the sum over pixels
of g, and b that of g x. Then a is the bias' gradient and (b - a m) s the weight's; and with A and B the sums over the
group's channels of w times the one and the other the inputs' is s w g + p x + q, p = -B s^2 / D, q = -p m - A s / D.
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor

_backward = torch.ops.aten.native_group_norm_backward

SMALLEST_BY_FORMULA = 1 << 15
"""Values of a case, channels innermost, from which it is worked out by the formula. Measured, 16 cases of 64 x 64:
2.5 ms, and by PyTorch, sums over all cases included, 3.8 (16 channels); .8 and 1.8 (8 cases, 8 channels)."""
TOGETHER = 1 << 20
"""Values of cases that are gone over at once."""
LEAST_INNERMOST = 256
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
    grouped = products.view(*mean.shape, -1)
    weights = torch.addcmul(grouped, sums.view_as(grouped), mean[:, :, None], value=-1).mul_(scale[:, :, None])
    return found, weights.view_as(sums), sums


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
    """Pixels are read twice, for sums and for what goes on; what lies between is worked out of all cases at once."""
    cases, channels, pixels = *inputs.shape[:2], inputs[0, 0].numel()
    beside = gcd(pixels, max(1, LEAST_INNERMOST // channels))
    rows = [values.movedim(1, -1).reshape(cases, -1, channels * beside) for values in (grad, inputs)]
    found, sums = torch.empty_like(rows[0]), grad.new_empty(2, cases, channels * beside)
    together = max(1, TOGETHER // (pixels * channels))
    parts = [slice(start, start + together) for start in range(0, cases, together)]
    for some in parts:
        torch.sum(rows[0][some], 1, out=sums[0, some])
        torch.sum(torch.mul(rows[0][some], rows[1][some], out=found[some]), 1, out=sums[1, some])
    added = sums.view(2, cases, beside, channels).sum(2)
    biases, products = added.view(2, cases, mean.shape[1], -1)
    weights = torch.addcmul(products, biases, mean[:, :, None], value=-1).mul_(scale[:, :, None])
    factors = _factors(biases, weights, mean, scale, weight.view(mean.shape[1], -1), pixels)
    spread = factors.view(3, cases, 1, channels).expand(-1, -1, beside, -1).reshape(3, cases, 1, -1)
    for some in parts:
        by_grad, by_inputs, beyond = spread[:, some]
        torch.addcmul(beyond, rows[0][some], by_grad, out=found[some]).addcmul_(rows[1][some], by_inputs)
    moved = found.view(cases, *inputs.shape[2:], channels).movedim(-1, 1)
    return moved, weights.view(cases, channels), added[0]


def _factors(biases: Tensor, weights: Tensor, mean: Tensor, scale: Tensor, weight: Tensor, pixels: int) -> Tensor:
    """(3, N, groups, channels of one): s w, p and q. biases, weights: gradients, (N, groups, channels of one)."""
    means, scales = mean[:, :, None], scale[:, :, None]
    share = scales / -(pixels * weight.shape[1])
    p = (weights * weight).sum(2, keepdim=True) * scales * share
    factors = weights.new_empty((3, *weights.shape))
    torch.mul(scales, weight, out=factors[0])
    factors[1] = p
    factors[2] = torch.addcmul((biases * weight).sum(2, keepdim=True) * share, p, means, value=-1)
    return factors
