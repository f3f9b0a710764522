"""The gradients of a convolution's weight, one a case, each way where it is fastest on a CPU.

Small maps, and images of few channels, are unfolded: every pixel's surroundings beside each other, so that a case's
gradient is one product of two matrices, or one for each row of the kernel, where it looks at every pixel. Everything
else goes through PyTorch's own convolution of one case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from client.per_example_gradients._rows_of_pixels import Sight

_backward = torch.ops.aten.convolution_backward

LARGEST_SLOW_CASE = 20480
"""Values of a single case up to which PyTorch 2.13 convolves it without oneDNN."""
MOST_WEIGHTS_TOGETHER = 1 << 18
"""Values of weights' gradients that one convolution by groups makes: they stay in the cache."""
MOST_UNFOLDED = 300_000
"""Values of an unfolded case: they stay in a cache of 2 MiB. Measured, 16 cases of 16 x 16: 5.5 ms unfolded and 8.4
by oneDNN (128 channels), 3.9 and 5.2 (64); 8 x 8: 2.9 and 7.8 (128)."""
UNFOLDED_TOGETHER = 1 << 17
"""Values of unfolded cases that one product reads."""
MOST_PIXELS_UNFOLDED = 1024
"""Measured at 32 x 32: 2.9 ms unfolded and 3.3 by oneDNN; at 64 x 64: 9.5 and 4.9."""
FEW_CHANNELS = 8
"""So few are unfolded at any size, outermost in memory. Measured, 1 channel of 64 x 64: .9 and 4.4 ms."""

VOLUMES = 5
"""Axes of a weight that goes over volumes."""


@dataclass(frozen=True)
class Convolution:
    """stride, padding, ...: of every axis, as aten.convolution takes them."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool
    output_padding: Sequence[int]
    groups: int

    def backward(self, grad: Tensor, inputs: Tensor, weight: Tensor, wanted: Sequence[bool]) -> Any:
        """Gradients of inputs, of weight, and of bias, as `wanted` asks for them."""
        options = (self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups)
        return _backward(grad, inputs, weight, None, *options, wanted)

    def weights_of_cases(self, grad: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        """(N, *weight.shape) float32, in any order in memory. grad, inputs: (N, channels, ...).

        A transposed convolution's weight has the gradient of a convolution from `grad` to `inputs`.
        """
        small, large = (inputs, grad) if self.transposed else (grad, inputs)
        kernel = weight.shape[2:]
        if self.groups == 1 and self._is_of_pixels_alone(kernel):
            found = torch.bmm(small.flatten(2), large.flatten(2).transpose(1, 2))
            return found.view(*found.shape, *kernel)
        if self.groups == 1 and self._goes_by_rows(small, large, kernel):
            return self._by_rows(small, large, kernel)
        if self.groups == 1 and _unfolds(small, large, kernel):
            return self._unfolded(small, large, kernel)
        if weight.ndim == VOLUMES:
            singles = zip(_beside_nothing(grad), _beside_nothing(inputs), strict=True)
            return torch.stack([self._weight(*single, weight) for single in singles])
        if self.transposed or max(weight.shape[2:]) > 3 or inputs[0].numel() > LARGEST_SLOW_CASE:
            singles = zip(torch.split(grad, 1), torch.split(inputs, 1), strict=True)
            return torch.stack([self._weight(*single, weight) for single in singles])
        together = max(1, MOST_WEIGHTS_TOGETHER // weight.numel())
        pairs = zip(torch.split(grad, together), torch.split(inputs, together), strict=True)
        return torch.cat([self._as_groups(*pair, weight) for pair in pairs])

    def _weight(self, grad: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        found: Tensor = self.backward(grad, inputs, weight, (False, True, False))[1]
        return found

    def _as_groups(self, grad: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        """PyTorch has a slow convolution for a single small case, and a fast one for groups: cases become groups."""
        as_groups = replace(self, groups=self.groups * len(inputs))
        only_its_shape_counts = weight.new_empty((len(inputs) * len(weight), *weight.shape[1:]))
        found = as_groups._weight(_one_case(grad), _one_case(inputs), only_its_shape_counts)
        return found.reshape(len(inputs), *weight.shape)

    def _is_of_pixels_alone(self, kernel: Sequence[int]) -> bool:
        return prod(kernel) == prod(self.stride) == 1 and not any((*self.padding, *self.output_padding))

    def _goes_by_rows(self, small: Tensor, large: Tensor, kernel: Sequence[int]) -> bool:
        pixels, fewest = small[0, 0].numel(), min(small.shape[1], large.shape[1])
        values = pixels * fewest * prod(kernel[1:])
        fits = pixels <= MOST_PIXELS_UNFOLDED and fewest >= FEW_CHANNELS and values <= MOST_UNFOLDED
        reaches = zip(kernel, self.padding, self.dilation, strict=True)
        looks_at_all = prod(self.stride) == 1 and not any(self.output_padding)
        return fits and looks_at_all and all(by <= dilation * (size - 1) for size, by, dilation in reaches)

    def _by_rows(self, small: Tensor, large: Tensor, kernel: Sequence[int]) -> Tensor:
        """(N, channels of small, channels of large, *kernel).

        Whichever has fewer channels is laid out; pixels of `large` see those of `small` with all weights reversed.
        """
        if small.shape[1] >= large.shape[1]:
            sight = Sight(small.shape[2:], kernel, self.padding, self.dilation)
            return _seen_in_rows(small, large, sight).movedim(-1, 2)
        paddings = [by * (size - 1) - pad for by, size, pad in zip(self.dilation, kernel, self.padding, strict=True)]
        sight = Sight(large.shape[2:], kernel, paddings, self.dilation, backwards=True)
        return _seen_in_rows(large, small, sight).movedim(-1, 1)

    def _unfolded(self, small: Tensor, large: Tensor, kernel: Sequence[int]) -> Tensor:
        """(N, channels of small, channels of large, *kernel)."""
        windows, columns = self._windows(large, small.shape[2:], kernel), small.flatten(2)
        channels, pixels, each = small.shape[1], columns.shape[2], large.shape[1] * prod(kernel)
        if large.shape[1] < FEW_CHANNELS:
            axes = len(kernel)
            rows = windows.permute(0, -1, *range(axes + 1, 2 * axes + 1), *range(1, axes + 1))
            found = small.new_empty((len(small), each, channels))
            for some, unfolded in _some_cases(rows):
                torch.bmm(unfolded.view(-1, each, pixels), columns[some].transpose(1, 2), out=found[some])
            return found.view(len(small), large.shape[1], *kernel, channels).movedim(-1, 1)
        found = small.new_empty((len(small), channels, each))
        for some, unfolded in _some_cases(windows):
            torch.bmm(columns[some], unfolded.view(-1, pixels, each), out=found[some])
        return found.view(len(small), channels, *kernel, large.shape[1]).movedim(-1, 2)

    def _windows(self, large: Tensor, pixels: Sequence[int], kernel: Sequence[int]) -> Tensor:
        """(N, *pixels, *kernel, channels): what each pixel sees, without a copy for each."""
        padded = _padded(large, self.padding)
        first, *axes, last = padded.stride()
        moves = [by * along for by, along in zip(self.stride, axes, strict=True)]
        reaches = [by * along for by, along in zip(self.dilation, axes, strict=True)]
        return padded.as_strided((len(large), *pixels, *kernel, large.shape[1]), (first, *moves, *reaches, last))


def _seen_in_rows(seeing: Tensor, seen: Tensor, sight: Sight) -> Tensor:
    """(N, channels that see, *kernel, channels that are seen)."""
    columns, each = seeing.flatten(2), prod(sight.row) * seen.shape[1]
    found = seeing.new_empty((*columns.shape[:2], sight.kernel[0], each))
    for some, laid in sight.rows(seen):
        for down in range(sight.kernel[0]):
            torch.bmm(columns[some], sight.below(laid, down), out=found[some, :, sight.place(down)])
    return found.view(*columns.shape[:2], *sight.kernel, seen.shape[1])


def _unfolds(small: Tensor, large: Tensor, kernel: Sequence[int]) -> bool:
    pixels, channels = small[0, 0].numel(), large.shape[1]
    fits = pixels * channels * prod(kernel) <= MOST_UNFOLDED
    return fits and (pixels <= MOST_PIXELS_UNFOLDED or channels < FEW_CHANNELS)


def _some_cases(views: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The cases, some at a time, and each time in the same memory, what the views show of them."""
    together = min(len(views), max(1, UNFOLDED_TOGETHER // views[0].numel()))
    place = views.new_empty((together, *views.shape[1:]))
    for start in range(0, len(views), together):
        some = slice(start, start + together)
        yield some, place[: len(views) - start].copy_(views[some])


def _padded(values: Tensor, padding: Sequence[int]) -> Tensor:
    """(N, ..., channels) in that order in memory, noughts around."""
    moved = values.movedim(1, -1)
    if not any(padding):
        return moved.contiguous()
    sides = [size + 2 * by for size, by in zip(values.shape[2:], padding, strict=True)]
    padded = values.new_zeros((len(values), *sides, values.shape[1]))
    inside = tuple(slice(by, by + size) for size, by in zip(values.shape[2:], padding, strict=True))
    padded[(slice(None), *inside)] = moved
    return padded


def _beside_nothing(values: Tensor) -> Iterator[Tensor]:
    """(2, channels, ...) each: a case and noughts, which add nothing to its gradient; in the same memory each time.

    Of a single volume PyTorch 2.13 takes 10 ms for what of two it takes 1.6 (8 channels of 24 x 24 x 24).
    """
    pair = torch.zeros_like(values[:1].expand(2, *values.shape[1:]), memory_format=_layout(values))
    for case in values:
        pair[0] = case
        yield pair


def _layout(values: Tensor) -> torch.memory_format:
    return (
        torch.channels_last_3d
        if values.is_contiguous(memory_format=torch.channels_last_3d)
        else torch.contiguous_format
    )


def _one_case(values: Tensor) -> Tensor:
    """(1, N * channels, ...)."""
    return values.contiguous().flatten(0, 1)[None]
