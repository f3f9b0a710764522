"""Losses of a student that is to say what its teacher says of another view of the same case."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax


def regression_loss(predicted: Tensor, taught: Tensor) -> Tensor:
    """(N,) squared distance of (N, D) predictions and projections, both of unit length: 2 - 2 cos.

    Grill et al. 2020, equation 2.
    """
    return 2 - 2 * cosine_similarity(predicted, taught, dim=1)


def cross_entropy_of_views(taught: Sequence[Tensor], answered: Sequence[Tensor], temperature: float) -> Tensor:
    """(N,) nats: mean cross entropy of what the student answers of a view and the teacher says of another one.

    taught: (N, K) probabilities of each global view. answered: (N, K) logits of each view, the global ones first and
    in the same order; a view is not compared with itself (Caron et al. 2021, equation 3). temperature: the student's.
    """
    logs = [log_softmax(one / temperature, dim=1) for one in answered]
    pairs = [(q, p) for i, q in enumerate(taught) for j, p in enumerate(logs) if i != j]
    return torch.stack([-(q * p).sum(1) for q, p in pairs]).mean(0)


def sharpened(logits: Tensor, temperature: float) -> Tensor:
    """(N, K) probabilities of a teacher's centred logits; the lower the temperature, the surer."""
    return torch.softmax(logits / temperature, dim=1)
