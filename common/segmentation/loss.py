"""Losses of segmentation, one a case; of images, and of volumes with D before H."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

SMOOTHING_PIXELS = 1.0
"""Added above and below the fraction: where neither mask has a class the loss is 0, and nothing divides by zero."""


def cross_entropy(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """(N,) mean over pixels, in nats, of (N, classes, [D,] H, W) log-probabilities at (N, [D,] H, W) targets."""
    return nll_loss(log_probabilities, targets, reduction="none").flatten(1).mean(1)


def soft_dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """(N,) 1 - mean over classes but the first (background) of (2 sum p g + 1) / (sum p + sum g + 1).

    probabilities: (N, classes, [D,] H, W); targets: (N, [D,] H, W) class indices. As Milletari et al. 2016 (V-Net),
    equation in section 3, without their squares.
    """
    labels = torch.arange(1, probabilities.shape[1]).reshape(-1, *(1 for _ in targets.shape[1:]))
    return _dice_loss(probabilities, (targets.unsqueeze(1) == labels).to(probabilities.dtype))


def soft_losses(logits: Tensor, truth: Tensor, class_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Soft Dice loss and cross-entropy, (N,) each, for truth that is only believed, in the logits' shape."""
    log_probabilities = logits.log_softmax(1)
    weight = 1.0 if class_weights is None else torch.einsum("nc...,c->n...", truth, class_weights.to(truth.dtype))
    cross_entropy = -(weight * (truth * log_probabilities).sum(1)).flatten(1).mean(1)
    return _dice_loss(log_probabilities.exp(), truth[:, 1:]), cross_entropy


def _dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """truth: (N, classes - 1, [D,] H, W), without the background."""
    guess, truth = probabilities[:, 1:].flatten(2), truth.flatten(2)
    both = (guess * truth).sum(2)
    sizes = guess.sum(2) + truth.sum(2)
    return 1 - ((2 * both + SMOOTHING_PIXELS) / (sizes + SMOOTHING_PIXELS)).mean(1)
