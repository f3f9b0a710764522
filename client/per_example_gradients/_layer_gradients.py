"""Layers as functions whose backward pass keeps the gradients of weight and bias of every case.

Convolutions of images and volumes, also transposed ones; linear layers of one vector or several tokens a case; group
and layer normalisation; what is learned of every place of a case alike, such as positions and tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from client.clipping import Gradients, Outer, Whole
from client.per_example_gradients._convolution_weights import Convolution
from client.per_example_gradients._group_norm_gradients import group_norm_backward

_group_norm_with_moments = torch.ops.aten.native_group_norm
_backward_of_layer_norm = torch.ops.aten.native_layer_norm_backward


@dataclass(frozen=True)
class CaseGradients:
    """Gradients of `cases` cases so far, by the identity of the parameter."""

    cases: int
    gradients: dict[int, Gradients]

    def add(self, parameter: Tensor | None, gradients: Callable[[], Gradients]) -> None:
        """Keep them, where the parameter is learned. NotImplementedError for one that is used twice."""
        if parameter is None or not parameter.requires_grad:
            return
        if id(parameter) in self.gradients:
            raise NotImplementedError("no gradients case by case of a parameter that two layers share.")
        found = gradients()
        if len(found) != self.cases:  # as where several views of a case are shown as so many cases
            raise NotImplementedError(f"a layer was shown {len(found)} rows of {self.cases} cases.")
        self.gradients[id(parameter)] = found

    def of(self, parameter: Tensor) -> Gradients:
        """Zeros where the parameter took no part."""
        return self.gradients.get(id(parameter)) or Whole(parameter.new_zeros((self.cases, *parameter.shape)))


class _ConvolutionOfCases(Function):
    @staticmethod
    def forward(
        ctx: Any, kept: CaseGradients, options: Convolution, inputs: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.kept, ctx.options = kept, options
        ctx.save_for_backward(inputs, weight, bias)
        return torch.convolution(
            inputs,
            weight,
            bias,
            options.stride,
            options.padding,
            options.dilation,
            options.transposed,
            options.output_padding,
            options.groups,
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, weight, bias = ctx.saved_tensors
        ctx.kept.add(bias, lambda: Whole(grad.flatten(2).sum(2)))
        ctx.kept.add(weight, lambda: Whole(ctx.options.weights_of_cases(grad, inputs, weight)))
        if not ctx.needs_input_grad[2]:
            return None, None, None, None, None
        return None, None, ctx.options.backward(grad, inputs, weight, (True, False, False))[0], None, None


class _LinearOfCases(Function):
    @staticmethod
    def forward(ctx: Any, kept: CaseGradients, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.kept = kept
        ctx.save_for_backward(inputs, weight, bias)
        return functional.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, weight, bias = ctx.saved_tensors
        ctx.kept.add(bias, lambda: Whole(grad))
        ctx.kept.add(weight, lambda: Outer(grad, inputs))
        return None, grad @ weight if ctx.needs_input_grad[1] else None, None, None


class _LinearOfTokens(_LinearOfCases):
    """inputs: (N, ..., features)."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, weight, bias = ctx.saved_tensors
        columns, rows = grad.flatten(1, -2), inputs.flatten(1, -2)
        ctx.kept.add(bias, lambda: Whole(columns.sum(1)))
        ctx.kept.add(weight, lambda: Whole(columns.transpose(1, 2) @ rows))
        return None, grad @ weight if ctx.needs_input_grad[1] else None, None, None


class _LayerNormOfCases(Function):
    @staticmethod
    def forward(
        ctx: Any,
        kept: CaseGradients,
        shape: Sequence[int],
        eps: float,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> Tensor:
        ctx.kept, ctx.shape = kept, list(shape)
        output: Tensor
        output, mean, scale = torch.native_layer_norm(inputs, ctx.shape, weight, bias, eps)
        ctx.save_for_backward(inputs, weight, bias, mean, scale)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, weight, bias, mean, scale = ctx.saved_tensors
        between = tuple(range(1, inputs.ndim - len(ctx.shape)))
        products = grad * (inputs - mean) * scale
        ctx.kept.add(weight, lambda: Whole(products.sum(between) if between else products))
        ctx.kept.add(bias, lambda: Whole(grad.sum(between) if between else grad))
        wanted = (ctx.needs_input_grad[3], False, False)
        found = _backward_of_layer_norm(grad, inputs, ctx.shape, mean, scale, weight, bias, wanted)[0]
        return None, None, None, found, None, None


class _OnceACase(Function):
    """A parameter, (*shape), as (N, *shape): the same of every case."""

    @staticmethod
    def forward(ctx: Any, kept: CaseGradients, parameter: Tensor) -> Tensor:
        ctx.kept = kept
        ctx.save_for_backward(parameter)
        return parameter.expand(kept.cases, *parameter.shape).clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (parameter,) = ctx.saved_tensors
        ctx.kept.add(parameter, lambda: Whole(grad))
        return None, None


class _RowsOfCases(Function):
    """Rows of a (V, W) parameter at places (N, ...), as learned tokens and positions are taken."""

    @staticmethod
    def forward(ctx: Any, kept: CaseGradients, places: Tensor, weight: Tensor) -> Tensor:
        ctx.kept = kept
        ctx.save_for_backward(places, weight)
        return functional.embedding(places, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        places, weight = ctx.saved_tensors
        at = places.flatten(1)[:, :, None].expand(-1, -1, weight.shape[1])
        every = grad.new_zeros((len(places), *weight.shape))
        ctx.kept.add(weight, lambda: Whole(every.scatter_add_(1, at, grad.reshape(at.shape))))
        return None, None, None


class _GroupNormOfCases(Function):
    @staticmethod
    def forward(
        ctx: Any,
        kept: CaseGradients,
        groups: int,
        eps: float,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> Tensor:
        ctx.kept, ctx.groups = kept, groups
        sizes = (*inputs.shape[:2], inputs[0, 0].numel())
        output: Tensor
        output, mean, scale = _group_norm_with_moments(inputs, weight, bias, *sizes, groups, eps)
        ctx.save_for_backward(inputs, weight, bias, mean, scale)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        inputs, weight, bias, mean, scale = ctx.saved_tensors
        laid = grad.contiguous(memory_format=_layout(inputs))
        found, weights, biases = group_norm_backward(laid, inputs, mean, scale, weight, ctx.groups)
        ctx.kept.add(weight, lambda: Whole(weights))
        ctx.kept.add(bias, lambda: Whole(biases))
        return None, None, None, found, None, None


def _layout(inputs: Tensor) -> torch.memory_format:
    for layout, dimensions in ((torch.channels_last, 4), (torch.channels_last_3d, 5)):
        if inputs.ndim == dimensions and inputs.is_contiguous(memory_format=layout):
            return layout
    return torch.contiguous_format


def _linear(kept: CaseGradients, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if inputs.ndim < 2:
        raise NotImplementedError("no gradients case by case of a linear layer without an axis of cases.")
    way = _LinearOfCases if inputs.ndim == 2 else _LinearOfTokens
    answer: Tensor = way.apply(kept, inputs, weight, bias)  # type: ignore[no-untyped-call]
    return answer


def _layer_norm(
    kept: CaseGradients,
    inputs: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    if inputs.ndim <= len(normalized_shape):
        raise NotImplementedError("no gradients case by case of a layer normalisation without an axis of cases.")
    answer: Tensor = _LayerNormOfCases.apply(kept, normalized_shape, eps, inputs, weight, bias)  # type: ignore[no-untyped-call]
    return answer


def _added(kept: CaseGradients, first: Tensor, second: Tensor) -> Tensor:
    """A parameter that is added to every case, such as positions of tokens."""
    parameter, cases = (second, first) if second.is_leaf and second.requires_grad else (first, second)
    if parameter.ndim >= cases.ndim or cases.shape[0] != kept.cases:
        raise NotImplementedError("no gradients case by case of a parameter that is not added to cases.")
    return cases + _spread(kept, parameter, cases.ndim)


def _picked(kept: CaseGradients, parameter: Tensor, places: Any) -> Tensor:
    """Rows of a parameter, others of every case: places (N, ...)."""
    if not isinstance(places, Tensor) or places.dtype != torch.int64 or len(places) != kept.cases:
        raise NotImplementedError("no gradients case by case of a parameter of which parts are taken.")
    every: Tensor = _OnceACase.apply(kept, parameter)  # type: ignore[no-untyped-call]
    case = torch.arange(kept.cases, device=places.device).reshape(-1, *(1,) * (places.ndim - 1))
    return every[case, places]


def _embedded(
    kept: CaseGradients,
    places: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a parameter at places (N, ...)."""
    if places.ndim < 2 or padding_idx is not None or max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("no gradients case by case of an embedding with options, or of one place a case.")
    answer: Tensor = _RowsOfCases.apply(kept, places, weight)  # type: ignore[no-untyped-call]
    return answer


def _expanded(kept: CaseGradients, parameter: Tensor, *sizes: Any) -> Tensor:
    """A parameter that stands in every case, such as a learned token."""
    wanted = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    if parameter.ndim >= len(wanted) or wanted[0] != kept.cases:
        raise NotImplementedError("no gradients case by case of a parameter that is not spread over cases.")
    return _spread(kept, parameter, len(wanted)).expand(wanted)


def _spread(kept: CaseGradients, parameter: Tensor, axes: int) -> Tensor:
    """(N, 1, ..., *shape) of so many axes."""
    every: Tensor = _OnceACase.apply(kept, parameter)  # type: ignore[no-untyped-call]
    return every.reshape(kept.cases, *(1,) * (axes - 1 - parameter.ndim), *parameter.shape)


def _group_norm(
    kept: CaseGradients,
    inputs: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    laid = inputs.contiguous(memory_format=_layout(inputs))
    answer: Tensor = _GroupNormOfCases.apply(kept, num_groups, eps, laid, weight, bias)  # type: ignore[no-untyped-call]
    return answer


def _convolution(dimensions: int) -> Callable[..., Tensor]:
    def convolve(
        kept: CaseGradients,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        every = _of_every_axis(dimensions)
        widths = every(dilation)
        sides = _padding(padding, widths, weight.shape[2:]) if isinstance(padding, str) else every(padding)
        options = Convolution(every(stride), sides, widths, False, every(0), groups)
        return _apply(kept, options, inputs, weight, bias)

    return convolve


def _transposed(dimensions: int) -> Callable[..., Tensor]:
    def convolve(
        kept: CaseGradients,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        dilation: int | Sequence[int] = 1,
    ) -> Tensor:
        every = _of_every_axis(dimensions)
        options = Convolution(every(stride), every(padding), every(dilation), True, every(output_padding), groups)
        return _apply(kept, options, inputs, weight, bias)

    return convolve


def _apply(kept: CaseGradients, options: Convolution, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if inputs.ndim != weight.ndim:
        raise NotImplementedError("no gradients case by case of a convolution without an axis of cases.")
    answer: Tensor = _ConvolutionOfCases.apply(kept, options, inputs, weight, bias)  # type: ignore[no-untyped-call]
    return answer


def _of_every_axis(dimensions: int) -> Callable[[int | Sequence[int]], tuple[int, ...]]:
    return lambda value: (value,) * dimensions if isinstance(value, int) else tuple(value)


def _padding(word: str, dilation: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    if word == "valid":
        return (0,) * len(kernel)
    if any(by * (size - 1) % 2 for by, size in zip(dilation, kernel, strict=True)):
        raise NotImplementedError("no gradients case by case of a convolution with unequal padding.")
    return tuple(by * (size - 1) // 2 for by, size in zip(dilation, kernel, strict=True))


LAYERS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    functional.linear: _linear,
    functional.group_norm: _group_norm,
    functional.layer_norm: _layer_norm,
    functional.embedding: _embedded,
    Tensor.add: _added,
    Tensor.__add__: _added,
    Tensor.__radd__: _added,
    torch.add: _added,
    Tensor.expand: _expanded,
    Tensor.__getitem__: _picked,
    functional.conv1d: _convolution(1),
    functional.conv2d: _convolution(2),
    functional.conv3d: _convolution(3),
    functional.conv_transpose2d: _transposed(2),
    functional.conv_transpose3d: _transposed(3),
}
"""What a network may do with its parameters, and what takes its place: (kept, its own arguments)."""
