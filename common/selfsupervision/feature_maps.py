"""An encoder of images together with its map of features: what it knows of every place, before all is pooled."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.parameters import refuse_unsuitable
from common.learning.task import Network
from common.selfsupervision.encoder import encoder_of
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@runtime_checkable
class MapsFeatures(Protocol):
    """What a network of (N, width) features may have beside, where its map is no part's answer."""

    def feature_map(self, inputs: Tensor) -> Tensor:
        """(N, W, *S / stride) features of every place."""
        ...


@runtime_checkable
class EncodesMaps(Protocol):
    """What a network entry may have beside its role, where its map is not what `mapped_encoder` would find."""

    def build_map_encoder(self, shape: Shape) -> nn.Module:
        """A fresh encoder that has `feature_map`, whose parameters are called as in the whole network."""
        ...


@dataclass(frozen=True)
class MappedEncoder:
    """width: of the map. stride: pixels of the image to one place of the map, along every axis. source: the part of
    the network whose answer is the map; "" where it is the network's own.
    """

    network: nn.Module
    width: int
    stride: tuple[int, ...]
    source: str = ""


def mapped_encoder(entry: Entry, shape: Shape) -> MappedEncoder:
    """A fresh encoder of images of `shape`: a network without its last layer, be that linear or a convolution.

    Raises StudyError where the network keeps no map of its images.
    """
    made = NETWORKS.build(entry)
    if isinstance(made, EncodesMaps):
        network, source = made.build_map_encoder(Shape(shape.inputs, 1)), ""
    elif _ends_with_convolution(network := cast(Network, made).build(Shape(shape.inputs, shape.inputs[0]))):
        source = ""
        _leave_out_last(network)
    else:
        network = encoder_of(entry, shape).network
        source = _last_map(network, shape, entry.name)
    refuse_unsuitable(network)
    return _measured(network, source, shape, entry.name)


def map_of(network: nn.Module, source: str, inputs: Tensor) -> Tensor:
    """(N, W, *S / stride) the encoder's map. source: see MappedEncoder."""
    if isinstance(network, MapsFeatures):
        return network.feature_map(inputs)
    if not source:
        answer: Tensor = network(inputs)
        return answer
    found: list[Tensor] = []
    handle = network.get_submodule(source).register_forward_hook(lambda _part, _given, answer: found.append(answer))
    try:
        network(inputs)
    finally:
        handle.remove()
    return found[-1]


def _ends_with_convolution(network: nn.Module) -> bool:
    learned = [module for module in network.modules() if list(module.parameters(recurse=False))]
    return bool(learned) and isinstance(learned[-1], nn.Conv2d | nn.Conv3d)


def _leave_out_last(network: nn.Module) -> None:
    path = [path for path, module in network.named_modules() if list(module.parameters(recurse=False))][-1]
    parent, _, own = path.rpartition(".")
    setattr(network.get_submodule(parent), own, nn.Identity())


def _last_map(network: nn.Module, shape: Shape, name: str) -> str:
    """The last part that answers with more places than one, as many along every axis as divide the image."""
    sides, found = shape.inputs[1:], ""

    def looked_at(path: str, answer: object) -> None:
        nonlocal found
        if isinstance(answer, Tensor) and _is_map(tuple(answer.shape), sides):
            found = path

    handles = [
        part.register_forward_hook(lambda _part, _given, answer, path=path: looked_at(path, answer))
        for path, part in network.named_modules()
        if path
    ]
    with torch.no_grad():
        network(torch.zeros(1, *shape.inputs))
    for handle in handles:
        handle.remove()
    if not found:
        raise StudyError(
            f"network {name!r} keeps no map of an image of {' x '.join(map(str, sides))} from which hidden patches "
            "could be painted: choose 'vit', 'unet' or 'groupnorm_cnn', with images whose sides it halves evenly."
        )
    return found


def _is_map(answered: tuple[int, ...], sides: tuple[int, ...]) -> bool:
    places = answered[2:]
    fits = len(places) == len(sides) > 0 and all(places) and prod(places) > 1
    return fits and not any(side % place for side, place in zip(sides, places, strict=True))


def _measured(network: nn.Module, source: str, shape: Shape, name: str) -> MappedEncoder:
    try:
        with torch.no_grad():
            answered = tuple(map_of(network, source, torch.zeros(1, *shape.inputs)).shape)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        line = first_line(error)
        raise StudyError(f"network {name!r} without its last layer cannot take {shape.inputs}: {line}") from error
    if not _is_map(answered, shape.inputs[1:]):
        raise StudyError(
            f"network {name!r} without its last layer answers an image of {shape.inputs} with {answered[1:]}, which "
            "is no map of its places: choose 'vit', 'unet' or 'groupnorm_cnn'."
        )
    stride = tuple(side // place for side, place in zip(shape.inputs[1:], answered[2:], strict=True))
    return MappedEncoder(network, answered[1], stride, source)
