"""Weights of classes in a loss, so that rare ones count.

A case's loss, or in segmentation a voxel's part of the cross-entropy, is multiplied by the weight of its true class,
and the sum is divided by the number of cases (voxels), not by the sum of the weights: a case's gradient then does not
depend on the other cases of its batch, which privacy needs, and hospitals' sums add up to the pooled one.

A task that weighs its classes says `weighs_classes = True`, and its loss multiplies by `weights_of(batch)` where that
is not None. Studies whose task does not say so may not ask for weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import Tensor

    from common.data.cases import Batch

COLUMN, PRIOR = "weight", "log_prior"
"""Columns of a batch: weights, in the form of the targets, one a case or one a voxel; and (classes,) a case of what
logits are raised by in training (`Training.calibration`)."""


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """n / (K n_c) for each class, K being the classes that there are any of (King and Zeng 2001, section 4.2).

    The mean weight over all counted is 1. 0 for a class that there is none of.
    """
    total, there = sum(counts), sum(count > 0 for count in counts)
    return tuple(total / (there * count) if count else 0.0 for count in counts)


def log_prior(counts: Sequence[int]) -> tuple[float, ...]:
    """log((n_c + 1) / (n + K)) of each of K classes: of one that there is none of it is low, and finite."""
    total = sum(counts) + len(counts)
    return tuple(log((count + 1) / total) for count in counts)


def with_prior(batch: Batch, prior: Tensor | None) -> Batch:
    """The batch with what its logits are raised by. prior: (classes,) float32; None: as it is."""
    if prior is None:
        return batch
    return batch.with_columns(**{PRIOR: prior.to(batch.targets.device).expand(len(batch), -1)})


def prior_of(batch: Batch) -> Tensor | None:
    """(N, classes) float32; None where logits are what they are."""
    return cast("Tensor | None", batch.columns.get(PRIOR))


def with_weights(batch: Batch, weights: Tensor | None) -> Batch:
    """The batch with the weight of every target's class. weights: (classes,) float32; None: as it is."""
    if weights is None:
        return batch
    return batch.with_columns(**{COLUMN: weights.to(batch.targets.device)[batch.targets]})


def weights_of(batch: Batch) -> Tensor | None:
    """In the form of the targets, float32; None where all count alike."""
    return cast("Tensor | None", batch.columns.get(COLUMN))


def each_weights(batch: Batch) -> Iterable[Tensor | None]:
    """Case by case."""
    return (None,) * len(batch) if COLUMN not in batch.columns else batch.each(COLUMN)
