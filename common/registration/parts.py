"""Parts of an image, each of which is asked how well it fits a moving image brought upon it.

A part's fit is the share of one image's variance there that a line through the other image's values and slopes
explains (as LC2: Fuerst, Wein, Mueller and Navab 2014), both ways added up: blind to contrast and shading.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.filters import along_axes, window
from common.registration.objective import Pair
from common.registration.pyramid import coarser
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import weighted_variance
from common.registration.transform import Transform

LEAST_MET = 0.6
"""Share of a part that must have a counterpart."""
STRUCTURED = 0.1
"""Of the whole image's variance, what a part must have to be asked."""
PRODUCTS = 14
"""Sums that a fit takes, as many values a voxel."""
TINY = 1e-8


class Parts:
    """Parts of 2 radius + 1 voxels a side of a pair's fixed image, one every radius + 1."""

    def __init__(self, pair: Pair, radius: int) -> None:
        self.pair = pair
        self.fixed = torch.from_numpy(np.ascontiguousarray(pair.fixed.values, np.float64))
        self.asked = torch.ones_like(self.fixed)
        if pair.fixed_mask is not None:
            self.asked = torch.from_numpy(pair.fixed_mask.values.astype(np.float64))
        self._anchor = torch.stack([self.fixed, _slope(self.fixed), self.asked])
        self._sums = [window(size, radius)[min(radius, size - 1) :: radius + 1].double() for size in self.fixed.shape]

    @cached_property
    def structured(self) -> Tensor:
        """(*parts) bool: which vary enough to be asked."""
        sums = torch.stack([self.asked, self.asked * self.fixed, self.asked * self.fixed * self.fixed])
        count, total, squared = along_axes(sums, self._sums)
        variance: Tensor = squared / count.clamp(min=1) - (total / count.clamp(min=1)) ** 2
        return variance > STRUCTURED * float(weighted_variance(self.fixed, self.asked))

    def read(self, found: Transform, margin: int = 0) -> Tensor:
        """(3, *shape with a margin): the moving image on the fixed lattice, its slope, and whether it is there."""
        geometry = self.pair.fixed.geometry
        affine = geometry.affine.copy()
        affine[:-1, -1] = geometry.voxel_to_world([-float(margin)] * geometry.dimensions)
        wider = Geometry(tuple(size + 2 * margin for size in geometry.shape), affine)
        with torch.no_grad():
            there = found.map_points(lattice_points(wider).flatten(0, -2))
            values, inside = Sampler.of(self.pair.moving).at(there)
            met = inside.double()
            if self.pair.moving_mask is not None:
                met = met * Sampler.of(self.pair.moving_mask).at(there, "nearest")[0][0].double()
        moving = values[0].double().reshape(wider.shape)
        return torch.stack([moving, _slope(moving), met.reshape(wider.shape)])

    def fits(self, moved: Tensor) -> Tensor:
        """(S, *parts), 0 to 2; 0 where too little of a part is met. moved: (S, 3, *shape) as `read` has it."""
        moving, slope, met = moved.unbind(1)
        met = met * self._anchor[2]
        f, h = (part * met for part in self._anchor[:2])
        m, k = moving * met, slope * met
        stack = torch.stack([met, f, h, m, k, f * f, h * h, m * m, k * k, f * h, m * k, f * m, h * m, f * k])
        summed = along_axes(stack.flatten(0, 1), self._sums)
        n, f, h, m, k, ff, hh, mm, kk, fh, mk, fm, hm, fk = summed.reshape(*stack.shape[:2], *summed.shape[1:])
        count = n.clamp(min=1)
        full = prod(float(matrix.sum(1).max()) for matrix in self._sums)

        def cov(product: Tensor, left: Tensor, right: Tensor) -> Tensor:
            covariance: Tensor = product / count - left * right / count**2
            return covariance

        line = cov(fm, f, m)
        back = _explained(line, cov(hm, h, m), cov(ff, f, f), cov(hh, h, h), cov(fh, f, h), cov(mm, m, m))
        forth = _explained(line, cov(fk, f, k), cov(mm, m, m), cov(kk, k, k), cov(mk, m, k), cov(ff, f, f))
        fits: Tensor = (back + forth) * (n >= LEAST_MET * full)
        return fits


def in_fewer_voxels(pair: Pair, factor: float) -> Pair:
    """Both images made coarser; a coarse voxel belongs to a mask where most of it does."""
    moving, fixed = coarser(pair.moving, factor), coarser(pair.fixed, factor)
    return Pair(moving, fixed, _mask(pair.moving_mask, factor), _mask(pair.fixed_mask, factor))


def _mask(mask: Image | None, factor: float) -> Image | None:
    if mask is None:
        return None
    share = coarser(Image(mask.values.astype(np.float32), mask.geometry), factor)
    return Image(share.values >= 0.5, share.geometry)


def _slope(values: Tensor) -> Tensor:
    long = [axis for axis, size in enumerate(values.shape) if size > 1]
    return torch.stack(torch.gradient(values, dim=long)).square().sum(0).sqrt()


def _explained(to_one: Tensor, to_two: Tensor, one: Tensor, two: Tensor, both: Tensor, whole: Tensor) -> Tensor:
    """R^2 of a regression on two variables from covariances."""
    one, two = one + TINY, two + TINY
    determinant = one * two - both**2
    flat = determinant < 1e-3 * one * two
    explained = (to_one**2 * two - 2 * to_one * to_two * both + to_two**2 * one) / determinant.clamp(min=TINY**2)
    explained = torch.where(flat, to_one**2 / one, explained)
    return (explained / whole.clamp(min=TINY)).clamp(0, 1)
