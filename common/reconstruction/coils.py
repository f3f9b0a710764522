"""Receive coils: their sensitivities, simulated, and what each of them sees of a complex image.

Sensitivities (N, 2K, *S) of K coils: real and imaginary part of the first, then of the next.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RING = 8
"""Coils about one slice of a volume; further ones make a further ring."""
MOST_COILS = 128


def birdcage(coils: int, size: tuple[int, ...], radius: float = 1.5, turned: float = 0.0) -> NDArray[np.complex128]:
    """(coils, *size): of coils on a ring about the image, or rings about a volume; their squares sum to 1 everywhere.

    radius: of the ring, in half images. turned: the ring, in radians. As `sigpy.mri.birdcage_maps`, turned by 0.
    """
    number = np.arange(coils).reshape(-1, *[1] * len(size))
    ring = coils if len(size) == 2 else RING
    angle = number * (2 * np.pi / ring) + turned
    axes = [(np.arange(side) - side / 2) / (side / 2) for side in size]
    places = np.meshgrid(*axes, indexing="ij")
    x, y = places[-1] - radius * np.cos(angle), places[-2] - radius * np.sin(angle)
    phase = np.arctan2(x, -y) - number * (2 * np.pi / ring)
    square = x**2 + y**2
    if len(size) == 3:
        level = np.floor(number / RING)
        square = square + (places[0] - (level - 0.5 * (ceil(coils / RING) - 1))) ** 2
        phase = phase - level * (2 * np.pi / RING)
    maps = np.exp(1j * phase) / np.sqrt(square)
    return np.asarray(maps / np.sqrt((np.abs(maps) ** 2).sum(0)))


def drawn(rng: np.random.Generator, coils: int, size: tuple[int, ...]) -> NDArray[np.float32]:
    """(2 coils, *size): of a ring whose width and turn are drawn, as patients lie."""
    maps = birdcage(coils, size, rng.uniform(1.3, 1.8), rng.uniform(0, 2 * np.pi))
    return np.stack([maps.real, maps.imag], 1).reshape(2 * coils, *size).astype(np.float32)


def seen(images: Tensor, sensitivities: Tensor) -> Tensor:
    """(N, 2K, *S): the image (N, 2, *S) times the sensitivity of each coil."""
    return _flat(_complex(images) * _complex(sensitivities.to(images)))


def combined(coil_images: Tensor, sensitivities: Tensor) -> Tensor:
    """(N, 2, *S): the adjoint of `seen`, the sum over coils of conjugate sensitivity times what it saw."""
    parts = _complex(coil_images) * _complex(sensitivities.to(coil_images)).conj()
    return _flat(parts.sum(1, keepdim=True))


def each(images: Tensor) -> Tensor:
    """(N K, 2, *S) of (N, 2K, *S): every coil's image as one of a batch."""
    return images.reshape(-1, 2, *images.shape[2:])


def _complex(images: Tensor) -> Tensor:
    """(N, K, *S) complex of (N, 2K, *S)."""
    apart = images.reshape(len(images), images.shape[1] // 2, 2, *images.shape[2:])
    return torch.view_as_complex(apart.movedim(2, -1).contiguous())


def _flat(images: Tensor) -> Tensor:
    """The inverse of `_complex`."""
    return torch.view_as_real(images).movedim(-1, 2).flatten(1, 2)
