"""The orthonormal Fourier transform of complex images in two channels, its zero frequency in the middle."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def fourier(images: Tensor) -> Tensor:
    """(N, 2, *S): the orthonormal transform over all axes of space, the zero frequency in the middle."""
    return _centred(torch.fft.fftn, images)


def inverse_fourier(spectrum: Tensor) -> Tensor:
    """The inverse of `fourier`, and its adjoint."""
    return _centred(torch.fft.ifftn, spectrum)


def _centred(transform: Callable[..., Tensor], images: Tensor) -> Tensor:
    """To move an even axis by half of itself is to change every other sign on the other side: no copies."""
    axes, size = tuple(range(1, images.dim() - 1)), tuple(images.shape[2:])
    if any(n % 2 for n in size):
        moved = transform(torch.fft.ifftshift(_complex(images), dim=axes), dim=axes, norm="ortho")
        return _channels(torch.fft.fftshift(moved, dim=axes))
    before = _signs(size, images)
    after = -before if sum(size) % 4 else before
    return _channels(transform(_complex(images * before), dim=axes, norm="ortho")) * after


def _complex(images: Tensor) -> Tensor:
    return torch.complex(images[:, 0], images[:, 1])


def _channels(images: Tensor) -> Tensor:
    return torch.stack([images.real, images.imag], 1)


def _signs(size: tuple[int, ...], like: Tensor) -> Tensor:
    """(*S): 1 and -1 in turn along every axis."""
    return torch.from_numpy(_alternating(size, like.dtype == torch.float32)).to(like)


@lru_cache(maxsize=64)
def _alternating(size: tuple[int, ...], single: bool) -> NDArray[Any]:
    """No tensor, as one that is made in inference or under a transform of functions is of no use outside of it."""
    places = np.indices(size).sum(0)
    signs: NDArray[Any] = (1 - 2 * (places % 2)).astype(np.float32 if single else np.float64)
    return signs
