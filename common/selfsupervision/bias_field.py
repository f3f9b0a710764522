"""The bias field of a magnetic resonance image: a coil sees what is near to it brighter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.selfsupervision.greys import greys_of
from common.selfsupervision.pipeline import Chances
from common.study.checks import between

ORDER = 3
COARSE = 9


@dataclass(frozen=True)
class BiasField:
    """bias_field: the most that a field differs from 1 anywhere, as a logarithm: of .3, from .74 to 1.35; off at 0.

    It is the exponential of Legendre polynomials of degree 3 at most (Van Leemput et al. 1999), times greys above an
    image's least.
    """

    bias_field: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, log(10), bias_field=self.bias_field)

    def chances(self, axes: int) -> int:
        """One of each polynomial, and how strong."""
        return 1 + len(_degrees(axes))

    def numbers(self, axes: int) -> int:
        """A coefficient of each polynomial."""
        return len(_degrees(axes)) if self.bias_field else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, polynomials) coefficients of a field whose logarithm reaches a share of the strength that is drawn."""
        directions = 2 * chances[:, 1:] - 1
        reached = np.abs(directions @ _coarse(len(shape) - 1)).max(axis=1, keepdims=True)
        return np.asarray(self.bias_field * chances[:, :1] * directions / np.maximum(reached, 1e-12))

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The same field in every channel."""
        least, _ = greys_of(images)
        field = self._logarithm(drawn.to(images.dtype), tuple(images.shape[2:]))
        seen: Tensor = least + (images - least) * field.exp()[:, None]
        return seen

    def _logarithm(self, coefficients: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, *S): one axis after the other, since all polynomials of a volume would be many volumes."""
        field = (coefficients @ _of_all(len(sides)).to(coefficients)).reshape(-1, *(ORDER + 1 for _ in sides))
        for side in sides:
            along = torch.from_numpy(_legendre(_places(side))).to(coefficients.dtype).to(coefficients.device)
            field = torch.tensordot(field, along, dims=([1], [0]))
        return field


@cache
def _degrees(axes: int) -> tuple[tuple[int, ...], ...]:
    """Of each polynomial, along each axis."""
    return tuple(one for one in product(range(ORDER + 1), repeat=axes) if 1 <= sum(one) <= ORDER)


@cache
def _of_all(axes: int) -> Tensor:
    """(polynomials, (ORDER + 1) ** axes) float32: which of the products of degrees each is."""
    every = list(product(range(ORDER + 1), repeat=axes))
    return torch.tensor([[float(one == degrees) for one in every] for degrees in _degrees(axes)])


@cache
def _coarse(axes: int) -> NDArray[np.float64]:
    """(polynomials, places) values at places that are even over an image, its edges included."""
    along = _legendre(np.linspace(-1, 1, COARSE))
    every: NDArray[np.float64] = along
    for _ in range(axes - 1):
        every = np.asarray(np.kron(every, along), np.float64)
    return np.asarray(_of_all(axes).double().numpy() @ every)


def _legendre(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(ORDER + 1, places) values from -1 to 1."""
    return np.ascontiguousarray(np.polynomial.legendre.legvander(places, ORDER).T, np.float64)


def _places(side: int) -> NDArray[np.float64]:
    """Middles of pixels, from -1 to 1 at the edges."""
    return np.asarray((2 * np.arange(side) + 1) / side - 1)
