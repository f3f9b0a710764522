"""Principal components of features from sums alone: each hospital adds its own, and no case is looked at again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over cases. total: (F,) of features. products: (F, F) of products of two. They add up over hospitals."""

    count: int
    total: Values
    products: Values

    @classmethod
    def of(cls, features: Values) -> Moments:
        """Of (N, F) features."""
        return cls(len(features), features.sum(0), features.T @ features)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> Values:
        """(F,)"""
        return np.asarray(self.total / max(self.count, 1))

    @property
    def covariance(self) -> Values:
        """(F, F), divided by the number of cases."""
        return np.asarray(self.products / max(self.count, 1) - np.outer(self.mean, self.mean))


@dataclass(frozen=True)
class Components:
    """directions: (F, K), unit columns, that of most variance first. shares: (K,) of the variance of all features."""

    mean: Values
    directions: Values
    shares: Values

    def of(self, features: Values) -> Values:
        """(N, K) places of (N, F) features."""
        return np.asarray((features - self.mean) @ self.directions)


def principal_components(moments: Moments, most: int = 2) -> Components:
    """The `most` directions of largest variance (Pearson 1901), by eigenvectors of the covariance.

    The sign of a direction is that of its largest entry. Shares are 0 where nothing varies.
    """
    values, vectors = np.linalg.eigh(moments.covariance)
    order = np.argsort(values)[::-1][:most]
    directions = vectors[:, order]
    largest = np.abs(directions).argmax(0)
    signs = np.sign(directions[largest, np.arange(directions.shape[1])])
    variances = values.clip(min=0)
    whole = float(variances.sum())
    shares = variances[order] / whole if whole else np.zeros(len(order))
    return Components(moments.mean, directions * np.where(signs == 0, 1, signs), shares)
