"""Ways of enlarging feature maps by a whole factor, in 2D and 3D.

What each does with the value x of a pixel, at factor f:

transposed           learned weights spread it (Long et al. 2015; Dumoulin and Visin 2016, section 4)
nearest              every one of its f x f pixels is x
linear               bilinear or trilinear interpolation between pixel centres
fixed_linear         the same values by a transposed convolution whose weights never change (Long et al. 2015)
average_unpooling    every one of its pixels is x, so that average pooling gives x back
max_unpooling        x at the place its maximum was pooled from, 0 elsewhere (Zeiler and Fergus 2014: switches)
"""

from __future__ import annotations

from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import LayerSizeError
from common.learning.layers import convolution
from common.segmentation.arithmetic import Layer
from common.segmentation.doors import whole_number
from common.study.checks import one_of

Upsampling = Literal["transposed", "nearest", "linear", "fixed_linear", "average_unpooling", "max_unpooling"]
LINEAR = {2: "bilinear", 3: "trilinear"}
MAX_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}
TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CONVOLVE_TRANSPOSED = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def enlarging(kind: Upsampling, dimensions: int, channels_in: int, channels_out: int, factor: int = 2) -> nn.Module:
    """(N, channels_in, ...) -> (N, channels_out, ...), every side `factor` times as long.

    "transposed" changes the channels while it enlarges, the others by a 1x1 convolution before. The module of
    "max_unpooling" takes the switches as a second argument, the others take none. Raises UnknownNameError for another
    kind, and LayerSizeError for dimensions, channels or a factor that cannot be.
    """
    one_of("enlarging", get_args(Upsampling), kind=str(kind))
    for name, value in (("channels_in", channels_in), ("channels_out", channels_out), ("factor", factor)):
        whole_number(name, value, 1, error=LayerSizeError)
    whole_number("dimensions", dimensions, 2, 3, LayerSizeError)
    if kind == "transposed":
        return TRANSPOSED[dimensions](channels_in, channels_out, factor, stride=factor)
    narrow = convolution(dimensions, channels_in, channels_out, 1)
    if kind == "max_unpooling":
        return NarrowedMaxUnpooling(narrow, factor)
    plain: dict[str, nn.Module] = {
        "nearest": Interpolation("nearest", factor),
        "linear": Interpolation(LINEAR[dimensions], factor),
        "fixed_linear": FixedLinear(dimensions, factor),
        "average_unpooling": AverageUnpooling(factor),
    }
    return nn.Sequential(narrow, plain[kind])


def layer_of(kind: Upsampling, factor: int = 2) -> Layer:
    """The enlargement as a layer of `common.segmentation.arithmetic`."""
    one_of("layer_of", get_args(Upsampling), kind=str(kind))
    if kind in ("linear", "fixed_linear"):
        return Layer(linear_kernel(factor), factor, padding=factor // 2, transposed=True)
    return Layer(_factor(factor), factor, transposed=True)


def linear_kernel(factor: int) -> int:
    """Width of the triangle that interpolates linearly by `factor`: 2f, or 2f - 1 where f is odd."""
    whole = _factor(factor)
    return 2 * whole - whole % 2


class Interpolation(nn.Module):
    """torch's own interpolation by a factor; pixel centres are half a pixel from the edge."""

    def __init__(self, mode: str, factor: int) -> None:
        super().__init__()
        self.mode, self.factor = mode, _factor(factor)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, factor * ...)."""
        corners = None if self.mode == "nearest" else False
        return functional.interpolate(
            features, scale_factor=float(self.factor), mode=self.mode, align_corners=corners
        )


class FixedLinear(nn.Module):
    """Linear interpolation as a transposed convolution with fixed weights: the same values as Interpolation.

    The weights are the product of one triangle an axis. The border is repeated once before, and cut off again,
    because interpolation keeps the outermost value beyond the last pixel's centre.
    """

    weights: Tensor

    def __init__(self, dimensions: int, factor: int) -> None:
        super().__init__()
        self.dimensions, self.factor = dimensions, _factor(factor)
        self.register_buffer("weights", _triangles(dimensions, factor), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, factor * ...)."""
        channels = features.shape[1]
        bordered = functional.pad(features, (1, 1) * self.dimensions, mode="replicate")
        weights = self.weights.to(features.dtype).expand(channels, 1, *self.weights.shape)
        cut = self.factor + (linear_kernel(self.factor) - self.factor) // 2
        convolve = CONVOLVE_TRANSPOSED[self.dimensions]
        return convolve(bordered, weights, stride=self.factor, padding=cut, groups=channels)


class AverageUnpooling(nn.Module):
    """Every pixel becomes a block of its own value: the average of a block is the pixel again."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = _factor(factor)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, factor * ...)."""
        for axis in range(2, features.ndim):
            features = features.repeat_interleave(self.factor, dim=axis)
        return features


class NarrowedMaxUnpooling(nn.Module):
    """`narrow`, then every value at the place its switch says."""

    def __init__(self, narrow: nn.Module, factor: int) -> None:
        super().__init__()
        self.narrow, self.factor = narrow, _factor(factor)

    def forward(self, features: Tensor, switches: Tensor) -> Tensor:
        """(N, C, ...) -> (N, channels of `switches`, factor * ...); switches as `max_pooled` returns them."""
        return max_unpooled(self.narrow(features), switches, self.factor)


def max_pooled(features: Tensor, factor: int = 2) -> tuple[Tensor, Tensor]:
    """(N, C, ...) -> the maximum of every block, and its switch: the place within the map, int64."""
    pool = MAX_POOL[features.ndim - 2]
    pooled: tuple[Tensor, Tensor] = pool(features, factor, return_indices=True)
    return pooled


def max_unpooled(features: Tensor, switches: Tensor, factor: int = 2) -> Tensor:
    """Values at the places their switches say, 0 elsewhere; the sides grow by `factor`.

    As torch's max_unpool, by a scatter, which `torch.func.vmap` (gradients of single cases) can batch.
    """
    sides = [side * factor for side in features.shape[2:]]
    empty = features.new_zeros(*features.shape[:2], prod(sides))
    filled = empty.scatter(2, switches.flatten(2), features.flatten(2))
    return filled.reshape(*features.shape[:2], *sides)


def _factor(factor: int) -> int:
    return whole_number("factor", factor, 1, error=LayerSizeError)


def _triangles(dimensions: int, factor: int) -> Tensor:
    """(kernel, kernel[, kernel]) float32: max(0, 1 - distance / factor) along each axis, multiplied."""
    kernel = linear_kernel(factor)
    distance = (torch.arange(kernel, dtype=torch.float64) - (kernel - 1) / 2).abs()
    triangle = 1 - distance / factor
    weights = triangle
    for _ in range(dimensions - 1):
        weights = weights[..., None] * triangle
    return weights.float()
