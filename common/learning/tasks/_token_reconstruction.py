"""Hidden patches painted from those that are shown, by transformers: the form of MAE (He et al. 2022)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from common.learning.tasks._pretraining import Pretraining
from common.learning.transformer import EVEN, FixedPositions, TransformerBlock, learned, linear
from common.selfsupervision.tokenised import TokenEncoder, module_of


class TokenReconstruction(Pretraining):
    """`encoder`, shown the visible patches alone, and a small `decoder`.

    Attention does not heed the order of tokens, so they are not brought back to theirs: hidden ones stand behind
    those shown, each with its place, and only they are painted. The values are those of the paper's arrangement.
    """

    def __init__(self, encoder: TokenEncoder, decoder: TokenDecoder) -> None:
        super().__init__(module_of(encoder), decoder=decoder)

    def painted(self, inputs: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """(N, M, P) patches at the places `hidden` (N, M), of those at `visible` (N, K)."""
        encoder = cast(TokenEncoder, self.encoder)
        shown = encoder.encoded(encoder.tokens(inputs, visible))
        painted: Tensor = self.get_submodule("decoder")(shown, visible, hidden)
        return painted


class TokenDecoder(nn.Module):
    """(N, leading + K, W) encoded tokens and places -> (N, M, P) hidden patches."""

    def __init__(
        self, encoder: TokenEncoder, grid: tuple[int, ...], values: int, *, width: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        self.leading, self.position = encoder.leading, FixedPositions(grid, width)
        self.embed = linear(encoder.width, width)
        self.hidden = learned(1, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, 4.0) for _ in range(depth))
        self.norm = nn.LayerNorm(width, EVEN)
        self.paint = linear(width, values)

    def forward(self, encoded: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """The hidden patches, in the order of `hidden`."""
        tokens = torch.cat([self.embed(encoded), self.hidden(torch.zeros_like(hidden))], dim=1)
        placed = tokens[:, self.leading :] + self.position(torch.cat([visible, hidden], dim=1)).to(tokens)
        tokens = torch.cat([tokens[:, : self.leading], placed], dim=1) if self.leading else placed
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        painted: Tensor = self.paint(self.norm(self.blocks[-1](tokens, hidden.shape[1])))
        return painted
