"""What a hospital's steps are of: which cases, in which order, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.balanced_batches import batches_by_class, groups_by_class
from common.data.cases import Cases
from common.learning.class_weights import balanced, log_prior
from common.learning.client_work import Training


def batches(cases: Cases, training: Training, rng: np.random.Generator) -> Iterator[list[NDArray[np.int64]]]:
    """Indices of every step's cases, as the study says that they are drawn. Steps come as they are drawn together."""
    count = len(cases)
    if training.sampling == "shuffled" or not count:
        yield from shuffled_batches(count, training, rng)
        return
    size = count if training.batch_size == "full" else min(training.batch_size, count)
    steps = training.epochs * -(-count // size) if training.steps is None else training.steps
    yield from ([one] for one in batches_by_class(groups_by_class(cases), size, steps, rng))


def one_batch(cases: Cases, training: Training, rng: np.random.Generator) -> NDArray[np.int64]:
    """Of one gradient: all cases, or a batch drawn without replacement, or evenly by class; in the cases' order."""
    count = len(cases)
    if training.batch_size == "full":
        return np.arange(count)
    if training.sampling == "by_class" and count:
        return np.sort(next(batches_by_class(groups_by_class(cases), min(training.batch_size, count), 1, rng)))
    return np.sort(rng.permutation(count)[: training.batch_size])


def shuffled_batches(count: int, training: Training, rng: np.random.Generator) -> Iterator[list[NDArray[np.int64]]]:
    """Epochs of shuffled batches (the last of each may be short), or as many batches as `steps` says."""
    size = count if training.batch_size == "full" else min(training.batch_size, count)
    per_epoch = -(-count // size)
    wanted = training.epochs * per_epoch if training.steps is None else training.steps
    while wanted > 0:
        order = np.arange(count) if size == count else rng.permutation(count)
        yield [order[start : start + size] for start in range(0, count, size)[:wanted]]
        wanted -= per_epoch


def calibration(cases: Cases, training: Training) -> Tensor | None:
    """(classes,) float32 that logits are raised by in training; None where they are what they are."""
    return None if training.calibration is None else torch.tensor(log_prior(cases.label_counts), dtype=torch.float32)


def class_weights(cases: Cases, training: Training) -> Tensor | None:
    """(classes,) float32 weights of classes in the loss; None where all count alike."""
    weights = training.public_class_weights
    if training.class_weights == "own":
        weights = balanced(cases.label_counts)
    return None if weights is None else torch.tensor(weights, dtype=torch.float32)
