"""B-splines as ITK applies them: within the region that all their control points support, and nothing beyond it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.registration.free_form import FreeForm
from common.registration.transform import NumericalInverse, Transform

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Confined:
    """x -> form(x) where x lies among control points with one more to every side, x elsewhere."""

    form: FreeForm

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.form.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        lattice = self.form.lattice
        inverse = torch.linalg.inv(torch.tensor(lattice.affine)).to(points.dtype)
        places = points @ inverse[:-1, :-1].T + inverse[:-1, -1]
        last = torch.tensor(lattice.shape) - 2
        within = ((places >= 1 - ROUNDING) & (places <= last + ROUNDING)).all(-1, keepdim=True)
        return torch.where(within, self.form.map_points(points), points)

    def inverse(self) -> Transform:
        """Solved at each point when it is asked for."""
        return NumericalInverse(self)
