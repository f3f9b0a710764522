"""Agreement of several raters who outlined, or classified, the same cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.classification import confusion_matrix
from common.metrics.counts import Counts, f_beta
from common.metrics.doors import as_choice
from common.metrics.maps import Labels, as_labels

Matrix = NDArray[np.float64]
WEIGHTS = {"equal": 0, "linear": 1, "quadratic": 2}
"""The power of the distance between two labels by which their disagreement weighs."""


def dice_matrix(raters: Sequence[Labels], label: int) -> Matrix:
    """Dice of each pair of raters.

    Args:
        raters: R maps of whole numbers of one shape.
        label: that is compared.

    Returns:
        (R, R) float64; 1 on the diagonal, NaN where neither has the label.

    Raises:
        ImageError: for fewer than two raters, or two shapes.
    """
    raters = alike(raters)
    return np.array([[float(f_beta(Counts.of(a, b, [label]))[0]) for b in raters] for a in raters])


def cohen_kappa(first: Labels, second: Labels, weights: Literal["equal", "linear", "quadratic"] = "equal") -> float:
    """Cohen's kappa of two raters over all voxels or cases, of as many labels as they gave.

    1 - sum w o / sum w e: o the share of cases with labels (i, j), e what chance would give from each rater's own
    shares, w how much a disagreement weighs, i and j the places of the labels among all that were given, in order.

    Args:
        first: labels, whole numbers.
        second: labels of the same shape.
        weights: "equal", 1 each (Cohen 1960); "linear", |i - j|, or "quadratic", (i - j)^2 (Cohen 1968).

    Returns:
        At most 1; NaN where both always gave one and the same label: there is nothing to agree on.

    Raises:
        ImageError: for two shapes and for no case.
        UnknownNameError: for other weights.
    """
    power = WEIGHTS[as_choice(weights, "weights of kappa", WEIGHTS)]
    first, second = alike([first, second])
    labels, codes = np.unique(np.concatenate([first.reshape(-1), second.reshape(-1)]), return_inverse=True)
    observed = confusion_matrix(codes[: first.size], codes[first.size :], len(labels)) / first.size
    distance = np.abs(np.subtract.outer(np.arange(len(labels)), np.arange(len(labels))))
    apart = np.where(distance > 0, distance**power, 0)
    by_chance = float((apart * np.outer(observed.sum(axis=1), observed.sum(axis=0))).sum())
    return 1 - float((apart * observed).sum()) / by_chance if by_chance else float("nan")


def fleiss_kappa(raters: Sequence[Labels]) -> float:
    """Fleiss' kappa (Fleiss 1971, equation 7) of R >= 2 raters over all voxels or cases.

    (P - P_e) / (1 - P_e), P the mean share of agreeing pairs of raters, P_e what chance would give.

    Args:
        raters: R maps of whole numbers of one shape.

    Returns:
        At most 1; NaN where all raters always gave one and the same label: there is nothing to agree on.
    """
    raters = alike(raters)
    stacked = np.stack([rater.reshape(-1) for rater in raters])
    votes = np.stack([(stacked == label).sum(axis=0) for label in np.unique(stacked)], axis=1)
    return fleiss_kappa_of_votes(votes)


def fleiss_kappa_of_votes(votes: NDArray[np.integer]) -> float:
    """The same from (cases, categories) numbers of votes; each row sums to the same number of raters, at least 2."""
    votes = np.asarray(as_labels(votes, "votes"), np.int64)
    if votes.ndim != 2 or (votes.size and votes.min() < 0):
        raise ImageError(f"votes must be numbers of at least 0, (cases, categories); their shape is {votes.shape}.")
    raters = votes.sum(axis=1)
    if not len(raters) or raters.min() != raters.max() or raters[0] < 2:
        raise ImageError("every case needs the votes of the same raters, two at least.")
    agreeing = (votes.astype(np.float64) * (votes - 1)).sum(axis=1) / (raters * (raters - 1))
    by_chance = float(((votes.sum(axis=0) / votes.sum()) ** 2).sum())
    return float("nan") if by_chance == 1 else (float(agreeing.mean()) - by_chance) / (1 - by_chance)


def majority_vote(raters: Sequence[Labels]) -> NDArray[np.int64]:
    """The label most raters gave, voxel by voxel; of equally many votes the lowest label."""
    raters = alike(raters)
    stacked = np.stack(raters)
    labels = np.unique(stacked)
    votes = np.stack([(stacked == label).sum(axis=0) for label in labels])
    return np.asarray(labels[votes.argmax(axis=0)], np.int64)


def alike(raters: Sequence[Labels]) -> list[Labels]:
    """The raters' maps, checked: two or more, of one shape, of whole numbers and a case. Raises ImageError."""
    given = list(raters) if isinstance(raters, Iterable) and getattr(raters, "ndim", True) else [raters]
    if len(given) < 2:
        raise ImageError(f"agreement needs the maps of two raters or more; {len(given)} came.")
    maps = [as_labels(rater, f"rater {number}") for number, rater in enumerate(given, 1)]
    if len({rater.shape for rater in maps}) != 1:
        raise ImageError(f"raters must outline the same image; their shapes are {[r.shape for r in maps]}.")
    if not maps[0].size:
        raise ImageError(f"agreement needs a voxel or a case; the raters' maps have the shape {maps[0].shape}.")
    return maps
