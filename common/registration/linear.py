"""Rigid, similarity and affine transforms: one matrix, and the families of matrices that an optimiser moves in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.errors import ImageError
from common.study.checks import one_of

KINDS = ("rigid", "similarity", "affine")


@dataclass(frozen=True, eq=False)
class Linear:
    """matrix: (D + 1, D + 1) float64, homogeneous, fixed world mm to moving world mm."""

    matrix: Tensor

    def __post_init__(self) -> None:
        size = len(self.matrix)
        if self.matrix.shape not in ((3, 3), (4, 4)) or not bool(torch.isfinite(self.matrix.detach()).all()):
            raise ImageError("a linear transform is a matrix of 3 x 3 or 4 x 4 finite numbers.")
        if not torch.equal(self.matrix.detach()[-1], torch.eye(size, dtype=self.matrix.dtype)[-1]):
            raise ImageError("the last row of a linear transform must be zeros and a one.")

    @classmethod
    def identity(cls, dimensions: int) -> Linear:
        """Every point stays."""
        return cls(torch.eye(dimensions + 1, dtype=torch.float64))

    @classmethod
    def of(cls, matrix: ArrayLike, translation_mm: ArrayLike, centre_mm: ArrayLike | None = None) -> Linear:
        """x -> matrix (x - centre) + centre + translation. matrix: (D, D); the others (D,)."""
        part = np.asarray(matrix, np.float64)
        centre = np.zeros(len(part)) if centre_mm is None else np.asarray(centre_mm, np.float64)
        whole = np.eye(len(part) + 1)
        whole[:-1, :-1] = part
        whole[:-1, -1] = np.asarray(translation_mm, np.float64) + centre - part @ centre
        return cls(torch.from_numpy(whole))

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.matrix) - 1

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        matrix = self.matrix.to(points.dtype)
        return points @ matrix[:-1, :-1].T + matrix[:-1, -1]

    def inverse(self) -> Linear:
        """Exact."""
        if abs(float(torch.linalg.det(self.matrix.detach()))) < 1e-12:
            raise ImageError("the linear transform has no inverse: it flattens space.")
        inverted = torch.linalg.inv(self.matrix)
        return Linear(torch.cat([inverted[:-1], torch.eye(self.dimensions + 1, dtype=inverted.dtype)[-1:]]))

    def after(self, first: Linear) -> Linear:
        """x -> self(first(x))."""
        return Linear(self.matrix @ first.matrix)


@dataclass(frozen=True, eq=False)
class LinearFamily:
    """start(centre + exp(sum_k p_k B_k / radius) (x - centre) + t): parameters (p, t), zeros give `start`.

    The matrices B_k span the Lie algebra of the kind: skew ones for rigid, those and the identity for
    similarity, all for affine. So no kind can mirror, and all parameters are lengths in mm of like effect:
    `radius_mm` is that of the image.
    """

    kind: str
    centre_mm: Tensor
    radius_mm: float
    start: Linear

    def __post_init__(self) -> None:
        one_of("registration", KINDS, transform=self.kind)

    @property
    def parameters(self) -> Tensor:
        """Zeros, float64: where an optimiser begins."""
        return torch.zeros(len(self._basis) + self.start.dimensions, dtype=torch.float64)

    def at(self, parameters: Tensor) -> Linear:
        """The transform of one vector of parameters; differentiable."""
        basis, size = self._basis, self.start.dimensions
        algebra = (parameters[:-size, None, None] * basis).sum(0) / self.radius_mm
        part = torch.linalg.matrix_exp(algebra)
        shift = self.centre_mm - part @ self.centre_mm + parameters[-size:]
        last = torch.eye(size + 1, dtype=torch.float64)[-1:]
        return self.start.after(Linear(torch.cat([torch.cat([part, shift[:, None]], dim=1), last])))

    @property
    def _basis(self) -> Tensor:
        return lie_basis(self.kind, self.start.dimensions)


def lie_basis(kind: str, dimensions: int) -> Tensor:
    """(K, D, D) float64: skew matrices, then the identity, or all matrices of one entry."""
    one_of("registration", KINDS, transform=kind)
    units = torch.eye(dimensions**2, dtype=torch.float64).reshape(-1, dimensions, dimensions)
    if kind == "affine":
        return units
    pairs = [(row, column) for row in range(dimensions) for column in range(row)]
    skew = [units[row * dimensions + column] - units[column * dimensions + row] for row, column in pairs]
    whole = [torch.eye(dimensions, dtype=torch.float64)] if kind == "similarity" else []
    return torch.stack([*skew, *whole])
