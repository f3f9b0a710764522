"""The proximal map of any R(x) = g(K x) with g convex, within bounds, by fast projection of its dual.

min_x |x - b|^2 / 2 + w g(K x) has the dual min_p |b - K'p|^2 / 2 + (w g)*(p) with x = clip(b - K'p); its proximal
step is v - s shrink(v / s), s one over |K|^2, by Moreau's identity (Beck & Teboulle 2009, section 4, for any g).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from common.reconstruction.inner_products import squares
from common.reconstruction.problem import clipped
from common.reconstruction.regulariser import Bounds, Limits, Split

MOMENTUM = 6
DEFAULT = Limits(1e-6)


@dataclass
class DualProjection:
    """Begins where its last call ended. The tolerance of its limits is of the dual's relative change."""

    split: Split
    bounds: Bounds | None = None
    limits: Limits = DEFAULT
    _dual: Tensor | None = field(default=None, repr=False)

    def __call__(self, images: Tensor, weight: Tensor) -> Tensor:
        """See `ProximalMap`."""
        step = 1 / self.split.split_norm(images.dim() - 2) ** 2
        dual = self.split.analysis(images) * 0 if self._dual is None else self._dual
        most = self.limits.first if self._dual is None else self.limits.later
        ahead = dual
        for done in range(most):
            slopes = self.split.analysis(clipped(images - self.split.synthesis(ahead), self.bounds))
            moved = ahead + step * slopes
            new = moved - step * self.split.shrink(moved / step, weight / step)
            change = squares(new - dual)
            ahead, dual = new + done / (done + MOMENTUM) * (new - dual), new
            if bool((change <= (self.limits.tolerance**2 * step) * squares(new)).all()):
                break
        self._dual = dual
        return clipped(images - self.split.synthesis(dual), self.bounds)
