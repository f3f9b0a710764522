"""The proximal map of total variation by fast gradient projection (Beck & Teboulle 2009, algorithm FGP, eq. 4.9).

min_x |x - b|^2 / 2 + w TV(x) within bounds has the dual min over fields p, |p| <= 1 at every pixel, with the solution
x = clip(b - w D'p). The gap between both, w sum(|D x| - <p, D x>), is a sum of terms none of which is below zero, so
it is exact in single precision too. Everything is done in place, in a problem scaled to weight one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from common.reconstruction.differences import differences, largest_difference
from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.regulariser import Bounds, Limits

CHECK_EVERY = 10
"""Iterations between two looks at the gap, which costs as much as one of them."""


DEFAULT = Limits()
MOMENTUM = 6
"""k / (k + 6) in the place of (t_k - 1) / t_(k+1), which is near k / (k + 3): as safe (Chambolle & Dossal 2015,
theorem 3) and a tenth to a third fewer iterations."""


@dataclass(frozen=True)
class Fields:
    """How fields (N, C, D, *S) are measured at a pixel.

    scaled: factors of differences along each axis. isotropic: by their Euclidean norm, else by the sum of absolute
    values. joint: over all channels together. periodic: the last pixel's neighbour is the first.
    """

    scaled: tuple[float, ...]
    isotropic: bool = True
    joint: bool = True
    periodic: bool = False

    @property
    def over(self) -> tuple[int, ...]:
        """Axes of a field that share one norm; none where values stand alone."""
        if not self.isotropic:
            return (1,) if self.joint else ()
        return (1, 2) if self.joint else (2,)

    def sizes(self, fields: Tensor) -> Tensor:
        """Norms at every pixel, reduced axes kept."""
        return fields.abs() if self._alone(fields) else self._squares(fields).sqrt_()

    def into_unit_balls(self, fields: Tensor) -> None:
        """Shorten fields, in place, to norms of at most one."""
        if self._alone(fields):
            fields.clamp_(-1, 1)
        else:
            fields.mul_(self._squares(fields).clamp_min_(1).rsqrt_())

    def _alone(self, fields: Tensor) -> bool:
        return all(fields.shape[axis] == 1 for axis in self.over)

    def _squares(self, fields: Tensor) -> Tensor:
        """Sums of squares over the axes that share a norm; by parts, as a reduction of a short axis is slow."""
        if fields.shape[1] > 1 or 2 not in self.over:
            return (fields * fields).sum(self.over, keepdim=True)
        size = fields.narrow(2, 0, 1).square()
        for axis in range(1, fields.shape[2]):
            part = fields.narrow(2, axis, 1)
            size.addcmul_(part, part)
        return size


@dataclass
class TotalVariationMap:
    """A proximal map that begins at the fields where its last call ended.

    bounds: of images, or None. used: iterations of the last call.
    """

    fields: Fields
    bounds: Bounds | None = None
    limits: Limits = DEFAULT
    used: int = 0
    _dual: Tensor | None = field(default=None, repr=False)

    def __call__(self, images: Tensor, weight: Tensor) -> Tensor:
        """See `ProximalMap`."""
        none = by_case(weight <= 0, images).bool()
        scale = torch.where(none, torch.ones_like(by_case(weight, images)), by_case(weight, images))
        projection = _Projection(self.fields, images / scale, self._scaled_bounds(scale), self._dual)
        most = self.limits.first if self._dual is None else self.limits.later
        self.used = projection.run(self.limits.tolerance, most)
        self._dual = projection.dual
        found = projection.image() * scale
        unchanged = images if self.bounds is None else images.clamp(*self.bounds)
        return torch.where(none, unchanged, found) if bool(none.any()) else found

    def _scaled_bounds(self, scale: Tensor) -> tuple[Tensor, Tensor] | None:
        return None if self.bounds is None else (self.bounds[0] / scale, self.bounds[1] / scale)


class _Projection:
    """One run: `dual` is p, `_ahead` the extrapolated point, each with the slices that differences read of it."""

    def __init__(
        self, fields: Fields, images: Tensor, bounds: tuple[Tensor, Tensor] | None, dual: Tensor | None
    ) -> None:
        self._fields, self._images, self._bounds = fields, images, bounds
        shape = (*images.shape[:2], len(fields.scaled), *images.shape[2:])
        fresh = dual is None or dual.shape != shape or dual.dtype != images.dtype
        self.dual = images.new_zeros(shape) if dual is None or fresh else dual
        self._ahead = self.dual.clone()
        self._image = torch.empty_like(images)
        self._step = 1 / largest_difference(fields.scaled) ** 2

    def run(self, tolerance: float, iterations: int) -> int:
        """Iterate until every case's relative gap is small enough; how many iterations that took."""
        for done in range(iterations):
            if done % CHECK_EVERY == 0 and bool((self.gap() <= tolerance).all()):
                return done
            self._advance(done / (done + MOMENTUM))
        return iterations

    def image(self) -> Tensor:
        """clip(b - D'p)."""
        return self._primal(self.dual).clone()

    def gap(self) -> Tensor:
        """(N,) float64: the duality gap as a share of the objective."""
        image = self._primal(self.dual)
        slopes = differences(image, self._fields.scaled, self._fields.periodic)
        variation = self._fields.sizes(slopes).flatten(1).sum(1, dtype=torch.float64)
        gap = variation - (slopes.mul_(self.dual)).flatten(1).sum(1, dtype=torch.float64)
        objective = squares(image - self._images) / 2 + variation
        return gap / objective.clamp_min(1e-300)

    def _primal(self, fields: Tensor) -> Tensor:
        image = self._image.copy_(self._images)
        for axis, scale in enumerate(self._fields.scaled):
            place, size = axis + 2, image.shape[axis + 2]
            along = fields.select(2, axis)
            image.add_(along, alpha=scale)
            image.narrow(place, 1, size - 1).sub_(along.narrow(place, 0, size - 1), alpha=scale)
            if self._fields.periodic:
                image.narrow(place, 0, 1).sub_(along.narrow(place, size - 1, 1), alpha=scale)
        return image if self._bounds is None else image.clamp_(*self._bounds)

    def _advance(self, ahead: float) -> None:
        """One step from the extrapolated point, which then lies `ahead` of the new one."""
        image, moved = self._primal(self._ahead), self._ahead
        for axis, scale in enumerate(self._fields.scaled):
            place, size, step = axis + 2, image.shape[axis + 2], scale * self._step
            along = moved.select(2, axis)
            bulk = along.narrow(place, 0, size - 1)
            bulk.add_(image.narrow(place, 1, size - 1), alpha=step)
            bulk.sub_(image.narrow(place, 0, size - 1), alpha=step)
            if self._fields.periodic:
                last = along.narrow(place, size - 1, 1)
                last.add_(image.narrow(place, 0, 1), alpha=step).sub_(image.narrow(place, size - 1, 1), alpha=step)
        self._fields.into_unit_balls(moved)
        torch.lerp(self.dual, moved, 1 + ahead, out=self.dual)
        self.dual, self._ahead = moved, self.dual
