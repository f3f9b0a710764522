"""What a stack of convolutions does to sizes, and how far one output sees: whole numbers, one axis at a time.

Symbols as in Dumoulin and Visin 2016: size i, kernel K, stride S, padding P on each side, dilation D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A convolution or a pooling along one axis; `transposed` for one that enlarges by its stride.

    An enlargement without weights is a transposed layer too: nearest neighbours have kernel = stride, linear
    interpolation by an even factor has kernel = 2 * stride. Raises ValueError for what torch would refuse.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; it is {getattr(self, name)}.")
        if self.padding < 0:
            raise ValueError(f"padding must be zero or more; it is {self.padding}.")

    @property
    def reach(self) -> int:
        """D (K - 1): from the first tap of the kernel to the last, in pixels."""
        return self.dilation * (self.kernel - 1)


def output_size(size: int, layer: Layer, output_padding: int = 0) -> int:
    """Size after a layer, from `size` i before it.

    floor((i + 2P - D(K-1) - 1) / S) + 1, and (i - 1) S - 2P + D(K-1) + output_padding + 1 where transposed
    (Dumoulin and Visin 2016, relationships 14 and 15). Raises ValueError where nothing would be left.
    """
    if layer.transposed:
        after = (size - 1) * layer.stride - 2 * layer.padding + layer.reach + output_padding + 1
    else:
        after = (size + 2 * layer.padding - layer.reach - 1) // layer.stride + 1
    if size < 1 or after < 1:
        raise ValueError(f"nothing is left of size {size} after {layer}.")
    return after


def output_size_of_stack(size: int, layers: Iterable[Layer]) -> int:
    """Size after all layers, in order. Raises ValueError where nothing would be left."""
    for layer in layers:
        size = output_size(size, layer)
    return size


def receptive_field(layers: Iterable[Layer]) -> int:
    """R_k = R_{k-1} + D_k (K_k - 1) prod_{i<k} S_i, R_0 = 1: pixels of the input that one output sees.

    Raises ValueError for a transposed layer: which pixels count then depends on the output's place
    (see `largest_receptive_field`).
    """
    field, pixels_a_step = 1, 1
    for layer in layers:
        if layer.transposed:
            raise ValueError("the formula has no transposed layers; use largest_receptive_field.")
        field += layer.reach * pixels_a_step
        pixels_a_step *= layer.stride
    return field


def largest_receptive_field(layers: Sequence[Layer]) -> int:
    """The same for stacks that also enlarge: the most pixels of the input that any one output sees.

    Counted from the output back: w outputs side by side need (w - 1) S + D (K - 1) + 1 inputs of a layer, and at
    most floor((w - 1 + D (K - 1)) / S) + 1 of a transposed one (exact where D = 1).
    """
    width = 1
    for layer in reversed(layers):
        if layer.transposed:
            width = (width - 1 + layer.reach) // layer.stride + 1
        else:
            width = (width - 1) * layer.stride + layer.reach + 1
    return width
