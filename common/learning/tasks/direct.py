"""Reconstruction by a network that is told nothing of the operator: from the data themselves to the image."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.frame import Frame
from common.reconstruction.packing import Layout
from common.study.catalogue import NETWORKS
from common.study.checks import sized
from common.study.options import Entry

MOST_TERMS = 1 << 10
MOST_WEIGHTS = 1 << 26
"""Of the learned transform, 256 MiB."""
FIRST_ANSWER = 0.2
"""Of a transform's first strength over that which keeps the strength of noise, along each axis."""


@dataclass(frozen=True)
class Direct(Reconstruction):
    """A learned linear transform of the data, then a network that mends the image it gives: model-agnostic (Zhu et
    al. 2018, AUTOMAP). It must learn from images alone what others know of physics, and of one operator: patterns
    that differ from case to case it does not see.

    terms: where data have as many axes as images, the transform is a sum of so many products of transforms along one
    axis each (Schlemper et al. 2019, dAUTOMAP, whose Fourier transform needs one), of few weights; else it is one
    dense matrix. network: answers an image as large as the one it is shown, and is added to it.
    """

    network: Entry = field(default_factory=lambda: Entry("ffdnet"))
    terms: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)
        sized("task", MOST_TERMS, terms=self.terms)

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the network does not fit the images, or the transform
        would be too large.
        """
        layout = self.layout(shape.inputs)
        shown = Shape(layout.image_shape, layout.image_shape[0])
        transform = _transform(layout.measured_shape, layout.image_shape, self.terms)
        body = build_fitting(self.network, shown, layout.image_shape, "direct")
        return self.with_parts(DirectNetwork(layout, transform, body), layout)


class DirectNetwork(nn.Module):
    """Packed data to images: x0 + network(x0), x0 the learned transform of the data."""

    def __init__(self, layout: Layout, transform: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.layout, self.transform, self.network = layout, transform, network

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        measured, _ = self.layout.unpack(inputs)
        first: Tensor = self.transform(measured)
        frame = Frame.of(first, self.layout.operator.complex_images)
        return first + frame.put_back(self.network(frame.shown(first)))


class AlongAxes(nn.Module):
    """(N, ..., *M) to (N, C, *S) as many axes: by a matrix along each, which mixes the channels too."""

    def __init__(self, measured: tuple[int, ...], image: tuple[int, ...], terms: int) -> None:
        super().__init__()
        self.axes = len(image) - 1
        channels = [prod(measured[: -self.axes]), *[terms * image[0]] * (self.axes - 1), image[0]]
        self.matrices = nn.ParameterList(
            _drawn((after, image[1 + axis], before, measured[axis - self.axes]))
            for axis, (before, after) in enumerate(itertools.pairwise(channels))
        )

    def forward(self, measured: Tensor) -> Tensor:
        """Transformed."""
        values = measured.reshape(len(measured), -1, *measured.shape[-self.axes :])
        for axis, matrix in enumerate(self.matrices):
            mapped = torch.tensordot(values, matrix, dims=([1, 2 + axis], [2, 3]))
            values = mapped.movedim(-2, 1).movedim(-1, 2 + axis)
        return values


class Dense(nn.Module):
    """One matrix of all numbers."""

    def __init__(self, measured: tuple[int, ...], image: tuple[int, ...]) -> None:
        super().__init__()
        self.image = image
        self.matrix = _drawn((prod(image), prod(measured)))

    def forward(self, measured: Tensor) -> Tensor:
        """Transformed."""
        return (measured.flatten(1) @ self.matrix.T).reshape(len(measured), *self.image)


def _transform(measured: tuple[int, ...], image: tuple[int, ...], terms: int) -> nn.Module:
    along = len(measured) >= len(image)
    if (weights := sum(_sizes(measured, image, terms)) if along else prod(measured) * prod(image)) > MOST_WEIGHTS:
        raise StudyError(
            f"task 'direct' would learn a transform of {weights:,} weights from data of shape {measured} to images "
            f"of shape {image}; {MOST_WEIGHTS:,} are the most. Choose 'postprocessed' or 'unrolled', which know it."
        )
    return AlongAxes(measured, image, terms) if along else Dense(measured, image)


def _sizes(measured: tuple[int, ...], image: tuple[int, ...], terms: int) -> Iterator[int]:
    axes = len(image) - 1
    for axis in range(axes):
        before = prod(measured[:-axes]) if axis == 0 else terms * image[0]
        after = image[0] if axis == axes - 1 else terms * image[0]
        yield after * image[1 + axis] * before * measured[axis - axes]


def _drawn(shape: tuple[int, ...]) -> nn.Parameter:
    """Of a matrix whose last axes are summed over: what comes of it is at first faint beside the data."""
    summed = prod(shape[len(shape) // 2 :])
    return nn.Parameter(FIRST_ANSWER * torch.randn(shape) / summed**0.5)


task: type[Task] = Direct
