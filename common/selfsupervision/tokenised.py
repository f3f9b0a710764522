"""Networks whose tokens, one of every patch, can be left out: what hiding patches takes of a transformer."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.tokens import patch_grid
from common.selfsupervision.encoder import encoder_of
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@runtime_checkable
class Tokenises(Protocol):
    """What the entry of such a network has beside its role."""

    def patch_for(self, shape: Shape) -> tuple[int, ...]:
        """Sides of a patch of images of `shape`. Raises StudyError unless they divide the image's."""
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """(N, C, *S) -> (N, width) features, `pooled(encoded(tokens(inputs)))`.

    Attributes:
        width: numbers of a token.
        leading: tokens that `encoded` puts before those of patches, as a class token.
    """

    width: int
    leading: int

    def tokens(self, inputs: Tensor, places: Tensor | None = None) -> Tensor:
        """(N, T, width) of every patch, in the order of rows, with its place; of those at `places` (N, K) alone."""
        ...

    def encoded(self, tokens: Tensor) -> Tensor:
        """(N, leading + K, width) of any K of them, in any order."""
        ...

    def pooled(self, encoded: Tensor) -> Tensor:
        """(N, width)."""
        ...


def has_tokens(entry: Entry) -> bool:
    """Whether the network is of patches that can be left out."""
    return isinstance(NETWORKS.build(entry), Tokenises)


def own_patch(entry: Entry, shape: Shape) -> tuple[int, ...]:
    """Sides of the patches of a network that has tokens."""
    return cast(Tokenises, NETWORKS.build(entry)).patch_for(shape)


def token_encoder_of(entry: Entry, shape: Shape) -> TokenEncoder:
    """A fresh encoder. Raises StudyError where the network has no tokens."""
    network = encoder_of(entry, shape).network
    if not isinstance(network, TokenEncoder):
        raise StudyError(
            f"network {entry.name!r} says how large its patches are (patch_for), and what it builds has not all of "
            "tokens, encoded, pooled, leading and width."
        )
    return network


def grid_of(shape: Shape, patch: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Patches along each axis. Raises StudyError unless patches divide the image, and there are two."""
    sides = shape.inputs[1:]
    if any(side % length for side, length in zip(sides, patch, strict=True)):
        raise StudyError(
            f"{where} = {patch[0]} must divide every side of the images; they are {' x '.join(map(str, sides))}."
        )
    return patch_grid(sides, patch)


def module_of(encoder: TokenEncoder) -> nn.Module:
    """The same, as what torch knows it for."""
    return cast(nn.Module, encoder)
