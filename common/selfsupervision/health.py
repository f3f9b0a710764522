"""Whether a network still tells cases apart: sums of its answers, from which spread and rank over hospitals follow.

In federations without batch normalisation a collapse is silent: the loss of BYOL falls as it should. What says it is
how far answers of different cases lie from each other. Answers are made of unit length, turned by a fixed orthogonal
matrix and cut to SKETCHED numbers each, so that their second moments are few enough to be summed (Halko, Martinsson
and Tropp 2011). Every number lies within +-sqrt(F / SKETCHED) for F answers, and of each case alone: means merge
exactly, under masks and ciphers too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations_with_replacement
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from common.metrics.intervals import MOMENT
from common.seeding import generator
from common.sums.mean import Mean, means_of

SKETCHED = 12
FEATURES = f"{MOMENT}feature_"
PAIRS = f"{MOMENT}features_"
SQUARE = "_square"
ROUNDING = 1e-9
"""Of a mean squared distance: below it are the units that means are rounded to, and no directions."""
Shown = dict[str, float | None]


def feature_sums(features: Tensor, **beside: Tensor) -> dict[str, Mean]:
    """Means of `sketched`."""
    return means_of({name: column.numpy() for name, column in sketched(features, **beside).items()})


def sketched(features: Tensor, **beside: Tensor) -> dict[str, Tensor]:
    """(N,) float64 of each case, by the names of their means, on the CPU.

    The sketch is rounded to float32, so that how many cases were asked for at once leaves no trace in a sum; products
    are of the rounded numbers and exact, so that cases that are one have no spread.

    features: (N, F) of the encoder: first and second moments of the sketch. beside: (N, F') that are answered
    elsewhere, by name, such as `projection`: first moments, and the square alone, which is enough for the spread.
    """
    sketch = _sketch(features)
    found = {f"{FEATURES}{i}": column for i, column in enumerate(sketch.T)}
    for i, j in combinations_with_replacement(range(sketch.shape[1]), 2):
        found[f"{PAIRS}{i}_{j}"] = sketch[:, i] * sketch[:, j]
    for name, answers in beside.items():
        sketch = _sketch(answers)
        found |= {f"{MOMENT}{name}_{i}": column for i, column in enumerate(sketch.T)}
        found[f"{MOMENT}{name}{SQUARE}"] = (sketch * sketch).sum(1)
    return {name: torch.from_numpy(np.ascontiguousarray(column)) for name, column in found.items()}


def presented_health(scores: Mapping[str, float | None]) -> Shown:
    """In the place of the moments:

    spread: root of the mean squared distance of features from their mean, all of unit length: 0 where all cases are
    one, 1 where they have no direction in common. effective_rank: in how many directions they spread, of SKETCHED
    (exp of the entropy of the covariance's eigenvalues, Roy and Vetterli 2007); none where they do not spread.
    NAME_spread: of what is answered beside.
    """
    told: Shown = {name: value for name, value in scores.items() if not name.startswith(MOMENT)}
    if f"{FEATURES}0" not in scores:
        return told
    told |= _of_features(scores)
    for square in sorted(name for name in scores if name.startswith(MOMENT) and name.endswith(SQUARE)):
        stem = square.removesuffix(SQUARE)
        first = _firsts(scores, f"{stem}_")
        value = None if first is None else sqrt(max((scores[square] or 0.0) - float(first @ first), 0.0))
        told[f"{stem.removeprefix(MOMENT)}_spread"] = value
    return told


def _of_features(scores: Mapping[str, float | None]) -> Shown:
    first = _firsts(scores, FEATURES)
    if first is None:
        return {"effective_rank": None, "spread": None}
    covariance = np.zeros((len(first), len(first)))
    for i, j in combinations_with_replacement(range(len(first)), 2):
        covariance[i, j] = covariance[j, i] = (scores.get(f"{PAIRS}{i}_{j}") or 0.0) - first[i] * first[j]
    values = np.linalg.eigvalsh(covariance).clip(min=0)
    return {"effective_rank": effective_rank(values), "spread": sqrt(float(values.sum()))}


def effective_rank(eigenvalues: NDArray[np.float64]) -> float | None:
    """exp of the entropy of the eigenvalues' shares; None where they are nothing but rounding."""
    total = float(eigenvalues.sum())
    if total <= ROUNDING:
        return None
    shares = eigenvalues[eigenvalues > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _firsts(scores: Mapping[str, float | None], stem: str) -> NDArray[np.float64] | None:
    """In order; None where one was not counted."""
    names = [f"{stem}{i}" for i in range(SKETCHED) if f"{stem}{i}" in scores]
    means = [scores[name] for name in names]
    return None if any(mean is None for mean in means) else np.array(means, np.float64)


def _sketch(answers: Tensor) -> NDArray[np.float64]:
    """(N, at most SKETCHED). An answer of nothing but zeros has no direction and stays 0."""
    flat = answers.detach().double().flatten(1)
    unit = normalize(flat, dim=1, eps=1e-300).cpu().numpy()
    return np.asarray((unit @ _turned(unit.shape[1])).astype(np.float32), np.float64)


@cache
def _turned(width: int) -> NDArray[np.float64]:
    """(F, at most SKETCHED) orthonormal columns times the root of F over their number."""
    size = min(width, SKETCHED)
    columns, _ = np.linalg.qr(generator(0, "sketch of features", width).normal(size=(width, size)))
    return np.asarray(columns * (width / size) ** 0.5)
