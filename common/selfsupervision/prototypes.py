"""The last layer of DINO: how alike a projection is to each of many directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize


class Prototypes(nn.Module):
    """(N, D) -> (N, count) cosines with the rows of `weight` (Caron et al. 2021, appendix C, projection head)."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, projected: Tensor) -> Tensor:
        """From -1 to 1."""
        return linear(normalize(projected, dim=1), normalize(self.weight, dim=1))
