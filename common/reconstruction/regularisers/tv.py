"""Total variation: the sum over pixels of the norm of differences of neighbours (Rudin, Osher & Fatemi 1992)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common.reconstruction.differences import scales
from common.reconstruction.inner_products import by_case
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap, Regulariser
from common.reconstruction.regularisers._of_differences import OfDifferences
from common.reconstruction.total_variation import Fields, TotalVariationMap
from common.study.checks import positive


@dataclass(frozen=True)
class TotalVariation(OfDifferences):
    """R(x) = sum over pixels of |D x|; with `anisotropic`, of the sum of absolute differences.

    spacing: between pixels along each axis, such as millimetres; empty: one each. joint: channels share their edges
    (real and imaginary part, colours), else each has a norm of its own. periodic: the last pixel's neighbour is the
    first.
    """

    convex: ClassVar[bool] = True

    anisotropic: bool = False
    joint: bool = True
    spacing: tuple[float, ...] = ()
    periodic: bool = False

    def __post_init__(self) -> None:
        for one in self.spacing:
            positive("regulariser 'tv'", spacing=one)

    def value(self, images: Tensor) -> Tensor:
        """TV(x)."""
        sizes = self._fields(images.dim() - 2).sizes(self.analysis(images))
        return sizes.flatten(1).sum(1, dtype=torch.float64)

    def shrink(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """Norms at every pixel lessened by the weight, down to zero."""
        sizes = self._fields(coefficients.dim() - 3).sizes(coefficients)
        kept = (sizes - by_case(weight, sizes)).clamp_min_(0)
        return coefficients * kept.div_(sizes.clamp_min_(torch.finfo(sizes.dtype).tiny))

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """By fast gradient projection."""
        return _Mapped(self, bounds, limits)

    def map(self, axes: int, bounds: Bounds | None, limits: Limits) -> TotalVariationMap:
        """The proximal map for images of so many axes."""
        return TotalVariationMap(self._fields(axes), bounds, limits)

    def _fields(self, axes: int) -> Fields:
        return Fields(scales(axes, self.spacing), not self.anisotropic, self.joint, self.periodic)


class _Mapped:
    """The map, made at its first call, which says how many axes there are."""

    def __init__(self, variation: TotalVariation, bounds: Bounds | None, limits: Limits) -> None:
        self._variation, self._bounds, self._limits = variation, bounds, limits
        self._map: TotalVariationMap | None = None

    def __call__(self, images: Tensor, weight: Tensor) -> Tensor:
        """See `ProximalMap`."""
        if self._map is None:
            self._map = self._variation.map(images.dim() - 2, self._bounds, self._limits)
        return self._map(images, weight)


regulariser: type[Regulariser] = TotalVariation
