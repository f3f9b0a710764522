"""Agreement of several raters who outlined, or classified, the same cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.classification import Labels
from common.metrics.counts import Counts, f_beta

Matrix = NDArray[np.float64]


def dice_matrix(raters: Sequence[Labels], label: int) -> Matrix:
    """(R, R) Dice of each pair of raters; 1 on the diagonal, NaN where neither has the label.

    raters: R maps of whole numbers of one shape. Raises ImageError for fewer than two, or two shapes.
    """
    _alike(raters)
    return np.array([[float(f_beta(Counts.of(a, b, [label]))[0]) for b in raters] for a in raters])


def fleiss_kappa(raters: Sequence[Labels]) -> float:
    """Fleiss' kappa (Fleiss 1971, equation 7) of R >= 2 raters over all voxels or cases.

    (P - P_e) / (1 - P_e), P the mean share of agreeing pairs of raters, P_e what chance would give. NaN where all
    raters always gave one and the same label: there is nothing to agree on.
    """
    _alike(raters)
    stacked = np.stack([rater.reshape(-1) for rater in raters])
    votes = np.stack([(stacked == label).sum(axis=0) for label in np.unique(stacked)], axis=1)
    return fleiss_kappa_of_votes(votes)


def fleiss_kappa_of_votes(votes: NDArray[np.integer]) -> float:
    """The same from (cases, categories) numbers of votes; each row sums to the same number of raters, at least 2."""
    raters = votes.sum(axis=1)
    if not len(raters) or raters.min() != raters.max() or raters[0] < 2:
        raise ImageError("every case needs the votes of the same raters, two at least.")
    agreeing = (votes.astype(np.float64) * (votes - 1)).sum(axis=1) / (raters * (raters - 1))
    by_chance = float(((votes.sum(axis=0) / votes.sum()) ** 2).sum())
    return float("nan") if by_chance == 1 else (float(agreeing.mean()) - by_chance) / (1 - by_chance)


def majority_vote(raters: Sequence[Labels]) -> NDArray[np.int64]:
    """The label most raters gave, voxel by voxel; of equally many votes the lowest label."""
    _alike(raters)
    stacked = np.stack(raters)
    labels = np.unique(stacked)
    votes = np.stack([(stacked == label).sum(axis=0) for label in labels])
    return np.asarray(labels[votes.argmax(axis=0)], np.int64)


def _alike(raters: Sequence[Labels]) -> None:
    if len(raters) < 2:
        raise ImageError(f"agreement needs two raters or more; {len(raters)} came.")
    if len({rater.shape for rater in raters}) != 1:
        raise ImageError(f"raters must outline the same image; their shapes are {[r.shape for r in raters]}.")
