"""Orthogonal wavelet transforms of images, periodic at their edges: W'W = W W' = I, of any size.

Filters are PyWavelets'; coefficients are those of its mode `periodization`. They lie where Mallat put them, coarse
ones in the corner of a tensor of the image's size. One level along an axis is a product with an orthogonal matrix, in
any precision, on any device, with gradients. The last pixel of an odd axis joins the averages as it is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from common.errors import StudyError
from common.extras import needed_by
from common.study.spelling import unknown

SHORTEST_AXIS = 2
LARGEST_ERROR = 1e-9


@dataclass(frozen=True)
class Wavelet:
    """name: of an orthogonal wavelet of PyWavelets, such as haar, db4 or sym8. levels: as many, where axes allow."""

    name: str
    levels: int

    def corners(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Sizes of the averages before each level and after the last. An axis ends when shorter than the filter."""
        length = filter_length(self.name)
        found = [shape]
        for _ in range(self.levels):
            if max(found[-1]) < max(length, SHORTEST_AXIS):
                break
            found.append(tuple((n + 1) // 2 if n >= max(length, SHORTEST_AXIS) else n for n in found[-1]))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """W x: (N, C, *S), as the images."""
        corners = self.corners(tuple(images.shape[2:]))
        found = images
        for before, after in itertools.pairwise(corners):
            block = self._level(corner(found, before), before, after, inverse=False)
            found = block if found is images else found
            corner(found, before).copy_(block)
        return images.clone() if found is images else found

    def inverse(self, coefficients: Tensor) -> Tensor:
        """W' c, which is the inverse."""
        corners = self.corners(tuple(coefficients.shape[2:]))
        found = coefficients.clone()
        for before, after in reversed(list(itertools.pairwise(corners))):
            corner(found, before).copy_(self._level(corner(found, before), before, after, inverse=True))
        return found

    def _level(self, block: Tensor, before: tuple[int, ...], after: tuple[int, ...], inverse: bool) -> Tensor:
        for axis, (size, halved) in enumerate(zip(before, after, strict=True)):
            if size != halved:
                matrix = _matrix(self.name, size, block.dtype).to(block.device)
                block = _along(block, matrix.T if inverse else matrix, axis + 2)
        return block


def corner(values: Tensor, size: tuple[int, ...]) -> Tensor:
    """The first of every axis of space, as a view."""
    return values[(slice(None), slice(None), *(slice(0, n) for n in size))]


@cache
def filter_length(name: str) -> int:
    """Of a wavelet. Raises StudyError where there is none of that name, or it is not orthogonal."""
    return len(_filters(name)[0])


@cache
def _filters(name: str) -> tuple[list[float], list[float]]:
    with needed_by("a wavelet transform"):
        import pywt

    if name not in pywt.wavelist(kind="discrete"):
        raise unknown(
            "wavelet", name, [one for one in pywt.wavelist(kind="discrete") if pywt.Wavelet(one).orthogonal]
        )
    wavelet = pywt.Wavelet(name)
    if not wavelet.orthogonal or _unorthogonal(wavelet.dec_lo) > LARGEST_ERROR:
        raise StudyError(
            f"wavelet {name!r} is not orthogonal, so that its proximal map has no closed form; choose one such as "
            "haar, db4, sym8 or coif2."
        )
    return wavelet.dec_lo, wavelet.dec_hi


def _unorthogonal(low: list[float]) -> float:
    """How far a filter is from orthogonal to its own even shifts: that of `dmey` is cut off, and so is not."""
    shifts = [sum(a * b for a, b in zip(low[shift:], low, strict=False)) for shift in range(0, len(low), 2)]
    return max(abs(one - (shift == 0)) for shift, one in enumerate(shifts))


@cache
def _matrix(name: str, size: int, dtype: torch.dtype) -> Tensor:
    """(size, size): averages above details, of an axis of that size."""
    even, filters = size // 2 * 2, _filters(name)
    rows = torch.zeros(size, size, dtype=torch.float64)
    averages, half = (size + 1) // 2, len(filters[0]) // 2
    for k in range(even // 2):
        for tap, (low, high) in enumerate(zip(*filters, strict=True)):
            place = (2 * k + half - tap) % even
            rows[k, place] += low
            rows[averages + k, place] += high
    if even < size:
        rows[averages - 1, size - 1] = 1
    return rows.to(dtype)


def _along(block: Tensor, matrix: Tensor, axis: int) -> Tensor:
    if axis == block.dim() - 1:
        return block @ matrix.T
    return (matrix @ block.movedim(axis, -2)).movedim(-2, axis)
