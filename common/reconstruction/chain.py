"""One linear map after another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.noise import is_measured
from common.reconstruction.spectral_norm import spectral_norm


@dataclass(frozen=True)
class Chain:
    """A = last ... first. cases: N, of which parameters came, or 1. device: theirs."""

    maps: tuple[LinearMap, ...]
    cases: int
    device: torch.device

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of the first."""
        return self.maps[0].image_shape

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """Of the last."""
        return self.maps[-1].measured_shape

    def forward(self, images: Tensor) -> Tensor:
        """From the first to the last."""
        for one in self.maps:
            images = one.forward(images)
        return images

    def adjoint(self, measured: Tensor) -> Tensor:
        """From the last to the first."""
        for one in reversed(self.maps):
            measured = one.adjoint(measured)
        return measured

    def support(self) -> Tensor:
        """Of the last."""
        return is_measured(self.maps[-1], torch.ones(1, *self.measured_shape, device=self.device))

    def norm(self) -> Tensor:
        """(N,) by iteration; at most the product of the maps' norms."""
        at_most = torch.ones(self.cases, dtype=torch.float64, device=self.device)
        for one in self.maps:
            at_most = at_most * one.norm().to(self.device)
        shape = (self.cases, *self.image_shape)
        return spectral_norm(self.forward, self.adjoint, shape, self.device, at_most * (1 + 1e-3))
