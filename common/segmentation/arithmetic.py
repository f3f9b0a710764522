"""What a stack of convolutions does to sizes, and how far one output sees: whole numbers, one axis at a time.

Symbols as in Dumoulin and Visin 2016: size i, kernel K, stride S, padding P on each side, dilation D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from common.errors import LayerSizeError
from common.segmentation.doors import whole_number

MOST_PLACES = 1 << 26
"""Of outputs that differ, times the pixels between the first and the last that one sees."""


@dataclass(frozen=True)
class Layer:
    """A convolution or a pooling along one axis; `transposed` for one that enlarges by its stride.

    An enlargement without weights is a transposed layer too: nearest neighbours have kernel = stride, linear
    interpolation by an even factor has kernel = 2 * stride and padding = stride / 2. Whole numbers are those of
    Python and NumPy; raises LayerSizeError for any other, 3.0 too, and for sizes that torch would refuse.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), least))
        if not isinstance(self.transposed, (bool, np.bool_)):
            raise LayerSizeError(f"transposed must be True or False; it is {self.transposed!r}.")

    @property
    def reach(self) -> int:
        """D (K - 1): from the first tap of the kernel to the last, in pixels."""
        return self.dilation * (self.kernel - 1)


@dataclass(frozen=True)
class Field:
    """What one output sees of the input. extent: from the first pixel to the last. seen: how many of those it sees.

    They differ where there are gaps: a dilated kernel's, or those of a kernel smaller than the stride, of whose
    input some pixels are seen by no output at all.
    """

    extent: int
    seen: int


def output_size(size: int, layer: Layer, output_padding: int = 0) -> int:
    """Size after a layer, from `size` i before it.

    floor((i + 2P - D(K-1) - 1) / S) + 1, and (i - 1) S - 2P + D(K-1) + output_padding + 1 where transposed
    (Dumoulin and Visin 2016, relationships 14 and 15).

    Args:
        size: i, in pixels.
        layer: a convolution, or a pooling.
        output_padding: pixels at the end of a transposed layer, fewer than its stride or its dilation.

    Returns:
        In pixels.

    Raises:
        LayerSizeError: nothing would be left, or output_padding is none that torch takes.
    """
    before, extra = _whole("size", size, 1), _whole("output_padding", output_padding, 0)
    (layer,) = _layers([layer])
    if extra and not (layer.transposed and extra < max(layer.stride, layer.dilation)):
        raise LayerSizeError(
            f"output_padding is of transposed layers, below their stride or dilation; it is {extra} of {layer}."
        )
    if layer.transposed:
        after = (before - 1) * layer.stride - 2 * layer.padding + layer.reach + extra + 1
    else:
        after = (before + 2 * layer.padding - layer.reach - 1) // layer.stride + 1
    if after < 1:
        raise LayerSizeError(f"nothing is left of size {before} after {layer}.")
    return after


def output_size_of_stack(size: int, layers: Iterable[Layer]) -> int:
    """Size after all layers, in order. Raises LayerSizeError where nothing would be left."""
    size = _whole("size", size, 1)
    for layer in layers:
        size = output_size(size, layer)
    return size


def receptive_field(layers: Iterable[Layer]) -> int:
    """R_k = R_{k-1} + D_k (K_k - 1) prod_{i<k} S_i, R_0 = 1: from the first pixel that one output sees to the last.

    `field_of` says how many of them it sees.

    Args:
        layers: in their order.

    Returns:
        In pixels along an axis.

    Raises:
        LayerSizeError: a layer is transposed, and which pixels count then depends on the output's place (see
            `largest_receptive_field`).
    """
    extent, pixels_a_step = 1, 1
    for layer in _layers(layers):
        if layer.transposed:
            raise LayerSizeError("the formula has no transposed layers; use largest_receptive_field.")
        extent += layer.reach * pixels_a_step
        pixels_a_step *= layer.stride
    return extent


def largest_receptive_field(layers: Sequence[Layer]) -> int:
    """The same for stacks that also enlarge: the largest extent of any one output, far from the borders."""
    stack = _layers(layers)
    if not any(layer.transposed for layer in stack):
        return receptive_field(stack)
    return field_of(stack).extent


def field_of(layers: Sequence[Layer]) -> Field:
    """The largest extent of any one output's field, and the most pixels that any one sees, far from the borders.

    Exact. Outputs repeat themselves after the product of all strides of transposed layers, so that many are followed
    back to the input, each as the set of places that it sees.

    Args:
        layers: in their order.

    Returns:
        Both, in pixels along an axis.

    Raises:
        LayerSizeError: that is too much work.
    """
    stack = _layers(layers)
    phases = prod(layer.stride for layer in stack if layer.transposed)
    _demand_possible(phases, 1)
    first, sees = np.arange(phases), np.ones((phases, 1), np.bool_)
    for layer in reversed(stack):
        first, sees = (_before_transposed if layer.transposed else _before)(first, sees, layer)
    extents = [int(places[-1] - places[0]) + 1 for places in map(np.flatnonzero, sees) if len(places)]
    return Field(max(extents, default=0), int(sees.sum(axis=1).max()))


def _before(
    first: NDArray[np.int64], sees: NDArray[np.bool_], layer: Layer
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places p S + D k - P of a layer's input, of all taps k, for the places p of its output.

    first: (outputs,) the place of each row's first column. sees: (outputs, places).
    """
    span = (sees.shape[1] - 1) * layer.stride + 1
    _demand_possible(len(first), span + layer.reach)
    before = np.zeros((len(first), span + layer.reach), np.bool_)
    for tap in range(0, layer.reach + 1, layer.dilation):
        before[:, tap : tap + span : layer.stride] |= sees
    return first * layer.stride - layer.padding, before


def _before_transposed(
    first: NDArray[np.int64], sees: NDArray[np.bool_], layer: Layer
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places i of a layer's input with i S = p + P - D k for a tap k; p as in `_before`."""
    start, offset = np.divmod(first + layer.padding, layer.stride)
    lowest = -(layer.reach // layer.stride) - 1
    width = (layer.stride - 1 + sees.shape[1] - 1) // layer.stride + 1 - lowest
    _demand_possible(len(first), width)
    before = np.zeros((len(first), width), np.bool_)
    for rest in np.unique(offset):
        rows = np.flatnonzero(offset == rest)
        for tap in range(0, layer.reach + 1, layer.dilation):
            column = int((tap - rest) % layer.stride)
            part = sees[rows, column :: layer.stride]
            place = (int(rest) + column - tap) // layer.stride - lowest
            before[rows, place : place + part.shape[1]] |= part
    return start + lowest, before


def _demand_possible(outputs: int, places: int) -> None:
    if outputs * places > MOST_PLACES:
        raise LayerSizeError(
            f"the field is too large to be counted: {outputs} kinds of outputs, {places} pixels wide."
        )


def _layers(layers: Iterable[Layer]) -> list[Layer]:
    given = list(layers)
    for layer in given:
        if not isinstance(layer, Layer):
            raise LayerSizeError(f"a stack is made of Layer; {layer!r} came.")
    return given


def _whole(name: str, value: object, least: int) -> int:
    return whole_number(name, value, least, error=LayerSizeError)
