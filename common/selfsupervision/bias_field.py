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


@dataclass(frozen=True)
class BiasField:
    """strength: the most that a field differs from 1 anywhere, as a logarithm: of .3, from .74 to 1.35; off at 0.

    It is the exponential of Legendre polynomials of degree 3 at most (Van Leemput et al. 1999), times greys above an
    image's least.
    """

    strength: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, log(10), bias_field=self.strength)

    def chances(self, axes: int) -> int:
        """One of each polynomial, and how strong."""
        return 1 + len(_degrees(axes))

    def numbers(self, axes: int) -> int:
        """A coefficient of each polynomial."""
        return len(_degrees(axes)) if self.strength else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, polynomials) coefficients, whose absolute values sum to the strength at most."""
        directions = 2 * chances[:, 1:] - 1
        length = np.abs(directions).sum(axis=1, keepdims=True)
        return np.asarray(self.strength * chances[:, :1] * directions / np.maximum(length, 1e-12))

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The same field in every channel."""
        least, _ = greys_of(images)
        field = torch.tensordot(drawn.to(images.dtype), _polynomials(tuple(images.shape[2:])).to(images), dims=1)
        seen: Tensor = least + (images - least) * field.exp()[:, None]
        return seen


@cache
def _degrees(axes: int) -> tuple[tuple[int, ...], ...]:
    """Of each polynomial, along each axis."""
    return tuple(one for one in product(range(ORDER + 1), repeat=axes) if 1 <= sum(one) <= ORDER)


@cache
def _polynomials(sides: tuple[int, ...]) -> Tensor:
    """(polynomials, *S) float64 values from -1 to 1."""
    along = [np.polynomial.legendre.legvander(_places(side), ORDER).T for side in sides]
    values = []
    for degrees in _degrees(len(sides)):
        value = np.ones(())
        for axis, degree in enumerate(degrees):
            value = value[..., None] * along[axis][degree]
        values.append(value)
    return torch.from_numpy(np.stack(values))


def _places(side: int) -> NDArray[np.float64]:
    """Middles of pixels, from -1 to 1 at the edges."""
    return np.asarray((2 * np.arange(side) + 1) / side - 1)
