"""What cases look like, learned from public ones: a linear decoder and what it leaves over, as a normal distribution.

Tipping and Bishop 1999, Probabilistic Principal Component Analysis (J. R. Stat. Soc. B 61): x = mean + W z + s e with
z and e standard normal. W is the decoder of the best linear autoencoder (Baldi and Hornik 1989, Neural Networks 2),
found exactly and at once; of some thousand small images it says far more in seconds than a deeper one could learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Reals = NDArray[np.float64]
MOST_CASES = 1500
"""Of as many the largest matrix takes a second of one processor."""
LEAST_SHARE, LEAST_DEVIATION = 1e-9, 1e-4
"""Of the largest variance, below which a direction is rounding; of a value that public cases all have alike."""


@dataclass(frozen=True)
class PublicPrior:
    """mean: (D,). weights: (D, k) W, the standard deviation of each component in it. rest: s."""

    mean: Tensor
    weights: Tensor
    rest: float

    @classmethod
    def of(cls, inputs: NDArray[np.float32], most_components: int, rng: np.random.Generator) -> PublicPrior:
        """From (N, ...) public cases, at most `MOST_CASES` of them, drawn; N is 2 at least."""
        drawn = np.sort(rng.permutation(len(inputs))[:MOST_CASES])
        rows = inputs[drawn].reshape(len(drawn), -1).astype(np.float64)
        mean = rows.mean(0)
        variances, directions = _principal(rows - mean)
        kept = min(most_components, len(variances))
        left = float(((rows - mean) ** 2).mean(0).sum() - variances[:kept].sum())
        rest = np.sqrt(max(left, 0.0) / max(rows.shape[1] - kept, 1))
        weights = directions[:, :kept] * np.sqrt(variances[:kept])
        return cls(torch.from_numpy(mean), torch.from_numpy(weights), max(float(rest), LEAST_DEVIATION))

    def to(self, device: torch.device, dtype: torch.dtype) -> PublicPrior:
        """The same there and so."""
        return PublicPrior(self.mean.to(device, dtype), self.weights.to(device, dtype), self.rest)

    def drawn(self, latent: Tensor, beyond: Tensor) -> Tensor:
        """(N, D) cases of z (N, k) and e (N, D)."""
        return self.mean + latent @ self.weights.T + self.rest * beyond


def _principal(rows: Reals) -> tuple[Reals, Reals]:
    """(k,) variances, the largest first, and (D, k) directions: of the smaller of the two matrices of products."""
    is_tall = len(rows) >= rows.shape[1]
    products = (rows.T @ rows if is_tall else rows @ rows.T) / len(rows)
    values, vectors = np.linalg.eigh(products)
    kept = np.flatnonzero(values > LEAST_SHARE * max(values[-1], LEAST_SHARE))[::-1]
    if is_tall:
        return values[kept], vectors[:, kept]
    return values[kept], rows.T @ vectors[:, kept] / np.sqrt(len(rows) * values[kept])
