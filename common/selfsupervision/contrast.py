"""Losses that tell the views of one case from those of others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """(N,) the normalised, temperature-scaled cross entropy of both views of a case, averaged over the two.

    first, second: (N, D) of two views of the same cases. Of each view the other one is to be told from all 2N - 2
    views of other cases (Chen et al. 2020, equation 1; the sum goes over k != i of all 2N). 0 for a single case.
    """
    count = len(first)
    views = normalize(torch.cat([first, second]), dim=1)
    likeness = views @ views.T / temperature
    likeness = likeness.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=views.device), -torch.inf)
    rows = torch.arange(2 * count, device=views.device)
    losses = likeness.logsumexp(1) - likeness[rows, (rows + count) % (2 * count)]
    return (losses[:count] + losses[count:]) / 2
