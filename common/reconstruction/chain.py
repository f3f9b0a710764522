"""One linear map after another."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.noise import is_measured
from common.reconstruction.spectral_norm import kept_norms, spectral_norm


@dataclass(frozen=True)
class Chain:
    """A = last ... first.

    kind: all that the chain is made of beside parameters; parameters: (N, ...) each, and again: the chain of others.
    """

    maps: tuple[LinearMap, ...]
    kind: Hashable
    parameters: tuple[Tensor, ...]
    again: Callable[..., Chain]

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

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """That of each, from the last to the first."""
        for one in reversed(self.maps):
            measured = first_image(one, measured)
        return measured

    def support(self) -> Tensor:
        """Of the last."""
        device = self.parameters[0].device if self.parameters else None
        return is_measured(self.maps[-1], torch.ones(1, *self.measured_shape, device=device))

    def norm(self) -> Tensor:
        """(N,) by iteration; (1,) without parameters."""
        if not self.parameters:
            return spectral_norm(self.forward, self.adjoint, (1, *self.image_shape))
        return kept_norms(self.kind, self._norms, *self.parameters)

    def _norms(self, *parameters: Tensor) -> Tensor:
        part = self.again(*parameters)
        shape = (len(parameters[0]), *self.image_shape)
        return spectral_norm(part.forward, part.adjoint, shape, parameters[0].device)
