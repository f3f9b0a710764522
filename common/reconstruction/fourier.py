"""The orthonormal Fourier transform of complex images in two channels, its zero frequency in the middle."""

from __future__ import annotations

import torch
from torch import Tensor


def fourier(images: Tensor) -> Tensor:
    """(N, 2, *S): the orthonormal transform over all axes of space, the zero frequency in the middle."""
    axes = tuple(range(1, images.dim() - 1))
    image = torch.view_as_complex(images.movedim(1, -1).contiguous())
    spectrum = torch.fft.fftn(torch.fft.ifftshift(image, dim=axes), dim=axes, norm="ortho")
    return torch.view_as_real(torch.fft.fftshift(spectrum, dim=axes)).movedim(-1, 1)


def inverse_fourier(spectrum: Tensor) -> Tensor:
    """The inverse of `fourier`, and its adjoint."""
    axes = tuple(range(1, spectrum.dim() - 1))
    frequencies = torch.view_as_complex(spectrum.movedim(1, -1).contiguous())
    image = torch.fft.ifftn(torch.fft.ifftshift(frequencies, dim=axes), dim=axes, norm="ortho")
    return torch.view_as_real(torch.fft.fftshift(image, dim=axes)).movedim(-1, 1)
