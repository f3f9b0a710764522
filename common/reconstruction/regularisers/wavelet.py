"""Wavelets: the sum of powers of an image's coefficients, of which few are large (l1 for a power of one)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.dual_projection import DualProjection
from common.reconstruction.inner_products import by_case
from common.reconstruction.powers import shrunk
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap, Regulariser
from common.reconstruction.wavelets import Wavelet, corner
from common.study.checks import between, sized


@dataclass(frozen=True)
class Wavelets:
    """R(x) = sum over coefficients c = W x of |c|^power, W orthogonal and periodic at the edges.

    wavelet: of PyWavelets, orthogonal. levels: of the transform, fewer where an axis is too short. power: above zero,
    at most two; below one, solutions are not unique. averages: whether the coarsest averages count, too. joint:
    |c| is over all channels (real and imaginary part, colours).
    """

    wavelet: str = "db4"
    levels: int = 4
    power: float = 1.0
    averages: bool = False
    joint: bool = True

    def __post_init__(self) -> None:
        between("regulariser 'wavelet'", 0.1, 2.0, power=self.power)
        sized("regulariser 'wavelet'", 30, levels=self.levels)

    @property
    def convex(self) -> bool:
        """For powers of at least one."""
        return self.power >= 1

    @property
    def transform(self) -> Wavelet:
        """W."""
        return Wavelet(self.wavelet, self.levels)

    def value(self, images: Tensor) -> Tensor:
        """The sum of powers."""
        sizes = self._sizes(self.transform.forward(images))
        return self._sum(sizes)

    def analysis(self, images: Tensor) -> Tensor:
        """W x."""
        return self.transform.forward(images)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """W' c."""
        return self.transform.inverse(coefficients)

    def split_norm(self, axes: int) -> float:
        """1."""
        return 1.0

    def shrink(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """Coefficients lessened by the power's own map."""
        return self.shrink_and_sum(coefficients, weight)[0]

    def shrink_and_sum(self, coefficients: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of coefficients, and the sum of powers of that."""
        sizes = self._sizes(coefficients)
        left = shrunk(sizes, by_case(weight, sizes), self.power)
        shares = left / sizes.clamp_min_(torch.finfo(sizes.dtype).tiny)
        if not self.averages:
            self._corner(shares).fill_(1)
        return coefficients * shares, self._sum(left)

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """In closed form; within bounds by projection of the dual."""
        if bounds is None:
            return _Shrinkage(self)
        if not self.convex:
            raise StudyError(
                f"regulariser 'wavelet' of the power {self.power:g} has no proximal map within bounds: choose a "
                "power of at least one, or no bounds."
            )
        return DualProjection(self, bounds, limits)

    def _sizes(self, coefficients: Tensor) -> Tensor:
        if not self.joint or coefficients.shape[1] == 1:
            return coefficients.abs()
        squared = coefficients[:, :1].square()
        for channel in range(1, coefficients.shape[1]):
            part = coefficients.narrow(1, channel, 1)
            squared = squared.addcmul_(part, part)
        return squared.sqrt_()

    def _sum(self, sizes: Tensor) -> Tensor:
        """(N,) float64: of powers of sizes, which are changed."""
        if not self.averages:
            self._corner(sizes).zero_()
        return (sizes if self.power == 1 else sizes.pow_(self.power)).flatten(1).sum(1, dtype=torch.float64)

    def _corner(self, coefficients: Tensor) -> Tensor:
        return corner(coefficients, self.transform.corners(tuple(coefficients.shape[2:]))[-1])


@dataclass
class _Shrinkage:
    """W' shrink(W x), which is exact as W is orthogonal; so the value is that of the shrunk coefficients."""

    wavelets: Wavelets
    value: Tensor | None = None

    def __call__(self, images: Tensor, weight: Tensor) -> Tensor:
        """See `ProximalMap`."""
        kept, self.value = self.wavelets.shrink_and_sum(self.wavelets.analysis(images), weight)
        return self.wavelets.synthesis(kept)


regulariser: type[Regulariser] = Wavelets
