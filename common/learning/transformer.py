"""A vision transformer (Dosovitskiy et al. 2021) for images and volumes, whose tokens can be left out one by one.

Attention is written out: its gradient can be taken twice, case by case by `torch.func`, and is the same on every
machine of a kind, of all of which PyTorch's fused kernels promise nothing.
"""

from __future__ import annotations

from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from common.learning.tokens import chosen, patch_grid, patchify, sincos_positions

PositionKind = Literal["sincos", "learned"]
Pooling = Literal["mean", "class_token"]
EVEN = 1e-6
"""Added to the variance that a token is divided by the root of."""
SPREAD = 0.02
"""Standard deviation of first positions and tokens that are learned."""


class TransformerBlock(nn.Module):
    """(N, T, width) -> the same: attention among a case's tokens, then a perceptron of each, normalised before."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = max(1, round(mlp_ratio * width))
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, EVEN)
        self.qkv = linear(width, 3 * width)
        self.out = linear(width, width)
        self.mlp_norm = nn.LayerNorm(width, EVEN)
        self.widen = linear(width, hidden)
        self.narrow = linear(hidden, width)

    def forward(self, tokens: Tensor, last: int | None = None) -> Tensor:
        """The tokens after one block. last: so many at the end are wanted alone, (N, last, width)."""
        asked = tokens if last is None else tokens[:, -last:]
        asked = asked + self._attended(self.attention_norm(tokens), last)
        moved: Tensor = self.narrow(gelu(self.widen(self.mlp_norm(asked))))
        return asked + moved

    def _attended(self, tokens: Tensor, last: int | None) -> Tensor:
        """Case and head are one axis, laid out once, so that products need no copies of their own."""
        cases, count, width = tokens.shape
        size = width // self.heads
        parts = self.qkv(tokens).reshape(cases, count, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = parts.reshape(3, cases * self.heads, count, size).unbind(0)
        asked = query if last is None else query[:, -last:]
        weights = torch.bmm(asked * size**-0.5, key.transpose(1, 2)).softmax(-1)
        mixed = torch.bmm(weights, value).reshape(cases, self.heads, -1, size).transpose(1, 2)
        answer: Tensor = self.out(mixed.reshape(cases, -1, width))
        return answer


class FixedPositions(nn.Module):
    """Places (N, K) of a grid -> (N, K, width) sines and cosines, which nothing moves and which do not travel."""

    def __init__(self, grid: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.values = sincos_positions(grid, width)

    def forward(self, places: Tensor) -> Tensor:
        """float32."""
        return self.values.to(places.device)[places]


class VisionTransformer(nn.Module):
    """(N, channels, *sides) float32 -> (N, classes) logits.

    patch: sides of a patch. leading: how many tokens stand before those of patches, 1 or 0. What the last layer is
    shown is the mean of all tokens, or the class token alone.
    """

    def __init__(
        self,
        channels: int,
        sides: tuple[int, ...],
        classes: int,
        *,
        patch: tuple[int, ...],
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        positions: PositionKind = "sincos",
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        self.patch, self.width = patch, width
        self.embed = linear(channels * prod(patch), width)
        grid = patch_grid(sides, patch)
        self.position = learned(prod(grid), width) if positions == "learned" else FixedPositions(grid, width)
        self.leading = int(pooling == "class_token")
        if self.leading:
            self.lead = learned(1, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(width, EVEN)
        self.head = nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, or, without the last layer, features."""
        answer: Tensor = self.head(self.pooled(self.encoded(self.tokens(inputs))))
        return answer

    def tokens(self, inputs: Tensor, places: Tensor | None = None) -> Tensor:
        """(N, T, width): patches, embedded, and where they lie. places: (N, K) of those wanted alone."""
        patches = patchify(inputs, self.patch)
        if places is None:
            places = torch.zeros_like(patches[:, :, 0], dtype=torch.int64)
            places = places + torch.arange(patches.shape[1], device=inputs.device)
        else:
            patches = chosen(patches, places)
        embedded: Tensor = self.embed(patches)
        placed: Tensor = embedded + self.position(places).to(embedded)
        return placed

    def encoded(self, tokens: Tensor) -> Tensor:
        """(N, leading + K, width) of any K of the tokens, in any order: what the blocks make of them."""
        seen = tokens
        if self.leading:
            seen = torch.cat([self.lead(torch.zeros_like(seen[:, :1, 0], dtype=torch.int64)), seen], dim=1)
        for block in self.blocks:
            seen = block(seen)
        normal: Tensor = self.norm(seen)
        return normal

    def pooled(self, encoded: Tensor) -> Tensor:
        """(N, width) features."""
        return encoded[:, 0] if self.leading else encoded.mean(1)


def learned(count: int, width: int) -> nn.Embedding:
    """(N, K) numbers below `count` -> (N, K, width): tokens that are learned, which hooks for single cases know."""
    tokens = nn.Embedding(count, width)
    nn.init.normal_(tokens.weight, std=SPREAD)
    return tokens


def linear(wide: int, out: int) -> nn.Linear:
    """A layer as MAE begins with it (He et al. 2022, appendix A): Glorot's uniform weights, no bias at first."""
    layer = nn.Linear(wide, out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
