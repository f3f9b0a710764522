"""Whether an encoder still tells cases apart: sums of features, from which rank and spread of all hospitals follow.

In federations without batch normalisation a collapse is silent: the loss of BYOL falls as it should. Features, of
unit length, are sketched: turned by a fixed orthogonal matrix and cut to a few numbers, so that their second moments
are few enough to be summed (Halko et al. 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from common.seeding import generator
from common.sums.mean import Mean

SKETCHED = 12
FIRST, SECOND = "feature", "features"


def feature_sums(features: Tensor) -> dict[str, Mean]:
    """Means of the sketch's numbers and of their products, of (N, F) float64 features of cases."""
    return {name: Mean.of(column.tolist()) for name, column in sketched(features).items()}


def sketched(features: Tensor) -> dict[str, Tensor]:
    """(N,) float32 of each case: the sketch's numbers and their products, by the names of their means.

    Rounded, so that how many cases were asked for at once leaves no trace in a sum.
    """
    unit = normalize(features.double(), dim=1).cpu().numpy()
    sketch = unit @ _turned(unit.shape[1])
    found = {f"{FIRST}_{i}": column for i, column in enumerate(sketch.T)}
    for i, j in combinations_with_replacement(range(sketch.shape[1]), 2):
        found[f"{SECOND}_{i}_{j}"] = sketch[:, i] * sketch[:, j]
    return {name: torch.from_numpy(column.astype(np.float32)) for name, column in found.items()}


def presented_health(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """effective_rank (exp of the entropy of the covariance's eigenvalues, Roy and Vetterli 2007, of SKETCHED at most)
    and spread (root of the mean squared distance from the mean feature, 0 where all are one, 1 at most) in the place
    of the sums they come from.
    """
    told = {name: value for name, value in scores.items() if not name.startswith((f"{FIRST}_", f"{SECOND}_"))}
    means = [scores[name] for name in sorted(scores, key=_place) if name.startswith(f"{FIRST}_")]
    if not means or any(mean is None for mean in means):
        return {**told, "effective_rank": None, "spread": None} if means else told
    first, size = np.array(means, np.float64), len(means)
    covariance = np.zeros((size, size))
    for i, j in combinations_with_replacement(range(size), 2):
        covariance[i, j] = covariance[j, i] = float(scores[f"{SECOND}_{i}_{j}"] or 0.0) - first[i] * first[j]
    values = np.linalg.eigvalsh(covariance).clip(min=0)
    total = float(values.sum())
    shares = values[values > 0] / total if total else np.ones(1)
    rank = float(np.exp(-(shares * np.log(shares)).sum()))
    return {**told, "effective_rank": rank, "spread": total**0.5}


@cache
def _place(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("_") if part.isdigit())


@cache
def _turned(width: int) -> NDArray[np.float64]:
    """(F, at most SKETCHED) orthonormal columns times the root of F over their number."""
    size = min(width, SKETCHED)
    columns, _ = np.linalg.qr(generator(0, "sketch of features", width).normal(size=(width, size)))
    return np.asarray(columns * (width / size) ** 0.5)
