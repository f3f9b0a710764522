"""What a convolution was shown, read from the gradient of its weights alone: no label, no search.

Let patch_p be the values under the kernel at place p, and d_p the loss' gradient by the outputs there. The gradient
of the weights, one row an output channel, is G = sum_p d_p patch_p^T. With at least as many output channels as places
the d_p are, but by chance, independent: then the rows of G span exactly what the patches span, whatever the labels
were. Every patch of the unknown input f lies in that span, (I - V V^T) patch_p(f) = 0 with V an orthonormal basis of
the rows, and as patches overlap these are far more linear equations than f has values. f is their one solution, up to
its scale. That a span of this kind tells the inputs of a layer was used on text by Petrov et al. 2024 (DAGER,
section 4.1) and on linear layers by Dimitrov et al. 2024 (SPEAR, section 3); the overlap of patches is new here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.nn.functional import pad

FEWEST_UNKNOWNS, MOST_UNKNOWNS = 4, 4096
"""Values of an input that are solved for: the equations are a square matrix of so many rows."""
NEAR = 1e-6
"""Eigenvalues below it are not told from 0."""
JUST_BELOW_ZERO = -1e-6
"""Where eigenvalues are sought: no eigenvalue is there, so that the matrix less this can be inverted."""
Convolution = nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class Input:
    """values: (channels, *sides) float64 of mean square 1. doubt: the least eigenvalue over the second least, which
    is near 0 where there is one solution and near 1 where there is none or more than one."""

    values: Tensor
    doubt: float


def places_under_kernel(layer: Convolution, sides: tuple[int, ...]) -> Tensor:
    """(places, kernel) int64: which pixel of the input each value under the kernel is, -1 where it is padding."""
    pixels = torch.arange(prod(sides)).reshape(sides)
    assert isinstance(layer.padding, tuple)
    padding = [amount for amount in reversed(layer.padding) for _ in range(2)]
    found = pad(pixels, padding, value=-1)
    for axis, (size, stride, dilation) in enumerate(
        zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ):
        found = found.unfold(axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
    return found.reshape(-1, prod(layer.kernel_size))


def tells_its_input(layer: nn.Module, channels: int, sides: tuple[int, ...]) -> bool:
    """Whether it has as many output channels as places, more values under the kernel, and patches that overlap."""
    if not isinstance(layer, Convolution) or layer.groups != 1 or layer.padding_mode != "zeros":
        return False
    if all(size <= stride for size, stride in zip(layer.kernel_size, layer.stride, strict=True)):
        return False
    if isinstance(layer.padding, str) or not FEWEST_UNKNOWNS <= channels * prod(sides) <= MOST_UNKNOWNS:
        return False
    places = len(places_under_kernel(layer, sides))
    return places <= layer.out_channels and places < channels * prod(layer.kernel_size)


def input_of_convolution(gradient: Tensor, layer: Convolution, sides: tuple[int, ...]) -> Input:
    """From the gradient (out, channels, *kernel) of a layer that `tells_its_input`, of one case.

    Where the values followed a ReLU none is negative, which settles the sign.
    """
    places = places_under_kernel(layer, sides)
    channels, rows = gradient.shape[1], gradient.double().flatten(1)
    basis = torch.linalg.svd(rows, full_matrices=False).Vh[: len(places)]
    outside = torch.eye(rows.shape[1], dtype=torch.float64) - basis.T @ basis
    values, vectors = _least_two(_equations(outside, places, channels, prod(sides)).numpy())
    least, second = np.argsort(values)
    found = torch.from_numpy(vectors[:, least].copy()).reshape(channels, *sides)
    found = found * torch.sign(found.sum()) / found.square().mean().sqrt()
    return Input(found, (max(float(values[least]), 0.0) + NEAR) / max(float(values[second]), NEAR))


def _least_two(form: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two least eigenvalues of a form that is nowhere negative, and their vectors as columns."""
    factor = cho_factor(form - JUST_BELOW_ZERO * np.eye(len(form)), overwrite_a=True)
    inverse = LinearOperator(form.shape, matvec=lambda vector: cho_solve(factor, vector), dtype=form.dtype)
    values, vectors = eigsh(form, k=2, sigma=JUST_BELOW_ZERO, v0=np.ones(len(form)), OPinv=inverse)
    return np.asarray(values), np.asarray(vectors)


def _equations(outside: Tensor, places: Tensor, channels: int, pixels: int) -> Tensor:
    """The quadratic form whose value is what of all patches lies outside the span."""
    form = torch.zeros(channels * pixels, channels * pixels, dtype=torch.float64)
    offsets = pixels * torch.arange(channels)[:, None]
    for under in places:
        inside = (under >= 0).repeat(channels)
        rows = (offsets + under).reshape(-1)[inside]
        form[rows[:, None], rows] += outside[inside][:, inside]
    return form
