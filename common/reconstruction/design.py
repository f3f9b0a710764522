"""The role of a design of super-resolution, how a network enlarges: entries in `common/reconstruction/designs/`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import prod
from operator import mul
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.tasks._network import build_fitting
from common.study.options import Entry


@dataclass(frozen=True)
class Enlargement:
    """What a design is to do.

    channels: of the large image; the first so many of what a network is shown are the small image. shown: all
    channels that it is shown. small: sides of the small image. factors: by which the network enlarges each side, 1
    where it is large already, as between thick slices.
    """

    channels: int
    shown: int
    small: tuple[int, ...]
    factors: tuple[int, ...]

    @property
    def axes(self) -> int:
        """2 of images, 3 of volumes."""
        return len(self.small)

    @property
    def large(self) -> tuple[int, ...]:
        """Sides of the large image."""
        return tuple(side * factor for side, factor in zip(self.small, self.factors, strict=True))


class Design(Protocol):
    """A frozen dataclass of options in `common/reconstruction/designs/`."""

    def build(self, wanted: Enlargement) -> nn.Module:
        """A fresh network: forward(shown, sides) makes (N, channels, *sides) of (N, shown channels, *small).

        It answers any sides, be they those that it is made for or not. Before it has learned it answers an
        interpolated image (`silence`, `resized`). Raises StudyError where it cannot be made.
        """
        ...

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        """Whether a network that was made for some factors enlarges by others as it is, and not by interpolating what
        it answers."""
        ...


def inner_network(entry: Entry, channels: int, sides: tuple[int, ...], answers: int) -> nn.Module:
    """A network of the catalogue that answers `answers` channels of the size it is shown, all zero at first.

    Raises StudyError where the network does not fit.
    """
    network = build_fitting(entry, Shape((channels, *sides), answers), (answers, *sides), "superresolution")
    silence(network)
    return network


def silence(network: nn.Module) -> None:
    """Let the last layer answer zero, until it has learned: what it is added to is then the first answer."""
    learned = [module for module in network.modules() if list(module.parameters(recurse=False))]
    if not learned:
        raise StudyError("task.design.network has no parameters: nothing would be learned.")
    with torch.no_grad():
        for parameter in learned[-1].parameters(recurse=False):
            parameter.zero_()


def shuffled(maps: Tensor, factors: tuple[int, ...]) -> Tensor:
    """(N, C f1 f2 ..., *S) -> (N, C, *S f): each place's channels become its pixels (Shi et al. 2016, equation 4).

    As torch's pixel_shuffle, of volumes and of one axis too. With a convolution before it, it is a transposed one.
    """
    cases, channels, *sides = maps.shape
    axes = len(sides)
    parted = maps.reshape(cases, channels // prod(factors), *factors, *sides)
    order = chain.from_iterable((2 + axes + axis, 2 + axis) for axis in range(axes))
    return parted.permute(0, 1, *order).reshape(cases, -1, *map(mul, sides, factors))


def enlarge(network: nn.Module, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
    """(N, C, *sides) of a design's network."""
    return cast(Tensor, network(shown, sides))
