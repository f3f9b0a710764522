"""Losses that tell the views of one case from those of others, one term a case."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from common.learning.device import full_precision

Negatives = Literal["random", "all", "semi_hard", "hardest"]


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """(N,) the normalised, temperature-scaled cross entropy of both views of a case, averaged over the two.

    first, second: (N, D) of two views of the same cases. Of each view the other one is to be told from all 2N - 2
    views of other cases (Chen et al. 2020, equation 1; the sum goes over k != i of all 2N). 0 for a single case.
    Never below 0, and computed in float32 at least, whatever autocast says: of half precision a small temperature
    leaves nothing.
    """
    count = len(first)
    with full_precision(first.device):
        views = normalize(_wide(torch.cat([first, second])), dim=1)
        other = views.roll(count, 0)
        # What counts is how much more alike others are than the other view is: taken away before the exponential,
        # so that the term of the other view is 1 exactly.
        excess = torch.addmm(-(views * other).sum(1, keepdim=True), views, views.T) / temperature
        excess = excess.masked_fill(_own_or_other(count, views.device), -torch.inf)
        losses = torch.cat([excess, excess.new_zeros(2 * count, 1)], 1).logsumexp(1)
    return (losses[:count] + losses[count:]) / 2


def triplet(
    anchors: Tensor,
    positives: Tensor,
    margin: float,
    negatives: Negatives = "random",
    drawn: Tensor | None = None,
) -> Tensor:
    """(N,) max(0, d(a, p) - d(a, n) + margin) with squared distances (Schroff et al. 2015, equation 3).

    anchors, positives: (N, D) of two views of the same cases. n is the positive of another case:

    - random: of the case that `drawn`, (N,) in [0, 1), says; where it is not given, the mean over all.
    - all: the mean over all other cases.
    - semi_hard: the nearest of those farther than the own positive; the farthest where none is (section 3.2).
    - hardest: the nearest of all.

    0 for a single case, which has nobody to be told from.
    """
    count = len(anchors)
    with full_precision(anchors.device):
        anchors, positives = _wide(anchors), _wide(positives)
        near = (anchors - positives).square().sum(1)
        if count < 2:
            return 0 * near
        if negatives == "all" or (negatives == "random" and drawn is None):
            far = squared_distances(anchors, positives)
            own = torch.eye(count, dtype=torch.bool, device=far.device)
            return relu(near[:, None] - far + margin).masked_fill(own, 0).sum(1) / (count - 1)
        others = _drawn_others(drawn) if drawn is not None else _hard(anchors, positives, near, negatives)
        return relu(near - (anchors - positives[others]).square().sum(1) + margin)


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """(N, M) squared Euclidean distances of (N, D) and (M, D)."""
    sizes = rows.square().sum(1)[:, None] + columns.square().sum(1)
    return torch.addmm(sizes, rows, columns.T, alpha=-2).clamp(min=0)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _own_or_other(count: int, device: torch.device) -> Tensor:
    """(2N, 2N): which pairs are views of one case."""
    return torch.eye(count, dtype=torch.bool, device=device).repeat(2, 2)


def _drawn_others(drawn: Tensor) -> Tensor:
    """(N,) places of other cases, all alike probable."""
    count = len(drawn)
    steps = 1 + (drawn.reshape(-1).double() * (count - 1)).long().clamp(max=count - 2)
    return (torch.arange(count, device=drawn.device) + steps) % count


@torch.no_grad()
def _hard(anchors: Tensor, positives: Tensor, near: Tensor, negatives: Negatives) -> Tensor:
    far = squared_distances(anchors, positives)
    own = torch.eye(len(far), dtype=torch.bool, device=far.device)
    if negatives == "hardest":
        return far.masked_fill(own, torch.inf).argmin(1)
    beyond = (far > near[:, None]) & ~own
    nearest = far.masked_fill(~beyond, torch.inf).argmin(1)
    return torch.where(beyond.any(1), nearest, far.masked_fill(own, -torch.inf).argmax(1))
