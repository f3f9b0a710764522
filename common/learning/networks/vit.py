"""Small vision transformer for images and volumes: patches as tokens, attention among them, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.networks._shapes import channels_of_grid, refuse_unusable
from common.learning.task import Network
from common.learning.tokens import patch_grid
from common.learning.transformer import Pooling, PositionKind, VisionTransformer
from common.study.checks import each, positive, sized

WIDEST, DEEPEST, MOST_TOKENS = 1 << 14, 64, 1 << 14


@dataclass(frozen=True)
class Vit:
    """patch: side of a patch in pixels or voxels. patch_sides: of every axis, in place of `patch`, where voxels are
    longer along one than another. width: numbers of a token. heads: of attention; they divide the width. depth: how
    many blocks. mlp_ratio: of the width between a block's two layers to that of a token. positions: of patches, as
    fixed sines and cosines or learned. pooling: whether the last layer is shown the mean of all tokens, or a class
    token.

    About 226,000 parameters for grey images.
    """

    patch: int = 4
    patch_sides: tuple[int, ...] = ()
    width: int = 96
    depth: int = 2
    heads: int = 6
    mlp_ratio: float = 4.0
    positions: PositionKind = "sincos"
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        where = "network 'vit'"
        sized(where, WIDEST, patch=self.patch, width=self.width, heads=self.heads)
        sized(where, DEEPEST, depth=self.depth)
        positive(where, mlp_ratio=self.mlp_ratio)
        if self.patch_sides:
            each(where, 1, WIDEST, 2, 3, patch_sides=self.patch_sides)
        if self.mlp_ratio > 64:
            raise StudyError(f"{where}.mlp_ratio must be at most 64; it is {self.mlp_ratio!r}.")
        if self.width % self.heads:
            below, above = self.width // self.heads * self.heads, -(-self.width // self.heads) * self.heads
            raise StudyError(
                f"{where}.heads must divide its width, {self.width}; it is {self.heads}. "
                f"Next to it are widths of {f'{below} and ' if below else ''}{above}."
            )

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes) logits. Raises StudyError unless patches divide sides."""
        refuse_unusable("vit", shape)
        patch = self.patch_for(shape)
        return VisionTransformer(
            shape.inputs[0],
            shape.inputs[1:],
            shape.classes,
            patch=patch,
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            mlp_ratio=self.mlp_ratio,
            positions=self.positions,
            pooling=self.pooling,
        )

    def patch_for(self, shape: Shape) -> tuple[int, ...]:
        """Sides of a patch of images of `shape`. Raises StudyError unless they divide the image's."""
        _, axes = channels_of_grid("vit", Shape(shape.inputs, 1))
        sides = shape.inputs[1:]
        patch = self.patch_sides or (self.patch,) * axes
        if len(patch) != axes:
            raise StudyError(
                f"network 'vit'.patch_sides must list {axes} sides, as images have; it lists {len(patch)}."
            )
        if any(side % length for side, length in zip(sides, patch, strict=True)):
            fitting = (-(-side // length) * length for side, length in zip(sides, patch, strict=True))
            raise StudyError(
                f"network 'vit' needs images that its patches of {_by(patch)} divide; they are {_by(sides)}. "
                f"Pad them to {_by(tuple(fitting))}, or choose another patch."
            )
        tokens = prod(patch_grid(sides, patch))
        if tokens > MOST_TOKENS:
            raise StudyError(
                f"network 'vit' makes {tokens} patches of {_by(patch)} of an image of {_by(sides)}, and all are "
                f"compared with each other: at most {MOST_TOKENS}. Choose larger patches."
            )
        return patch


def _by(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))


network: type[Network] = Vit
