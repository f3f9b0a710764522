"""One level of an orthogonal wavelet transform along one axis, periodic at its ends, and its inverse.

It is a product with an orthogonal matrix whose rows are a filter's even shifts. Along a long axis most of that matrix
is zero, and as all of its blocks are alike, it is one small matrix times overlapping windows of the axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from common.errors import StudyError
from common.extras import needed_by
from common.study.spelling import unknown

LARGEST_ERROR = 1e-9
FEWEST_PAIRS, MOST_PAIRS = 8, 16
"""Averages, and details, of a window: of 4 to 56 the fastest for an axis of 224."""
LONG = 64
"""From so many pixels on, windows take less time than the whole matrix."""


def averages_and_details(values: Tensor, axis: int, name: str) -> Tensor:
    """The averages of an axis, then its details. An odd axis' last pixel follows its averages as it is."""
    size = values.shape[axis]
    if not _worth_windows(name, size):
        return _times(whole_matrix(name, size, values.dtype).to(values.device), values, axis)
    pairs, even = size // 2, size // 2 * 2
    bank = _bank(name, _pairs_of_a_window(pairs), values.dtype)
    windows = -(-pairs // bank.pairs)
    found = _split(values.narrow(axis, 0, even), axis, windows, bank)
    halves = found.reshape(*found.shape[: axis + 1], 2, bank.pairs, *found.shape[axis + 2 :])
    halves = halves.transpose(axis, axis + 1).flatten(axis + 1, axis + 2)
    if size == 2 * windows * bank.pairs:
        return halves.flatten(axis, axis + 1)
    averages, details = halves.narrow(axis + 1, 0, pairs).unbind(axis)
    last = [values.narrow(axis, even, 1)] if even < size else []
    return torch.cat([averages, *last, details], axis)


def from_averages_and_details(values: Tensor, axis: int, name: str) -> Tensor:
    """The inverse of `averages_and_details`, and its adjoint."""
    size = values.shape[axis]
    if not _worth_windows(name, size):
        return _times(whole_matrix(name, size, values.dtype).to(values.device).T, values, axis)
    pairs, even = size // 2, size // 2 * 2
    bank = _bank(name, _pairs_of_a_window(pairs), values.dtype)
    found = _merged(values, axis, -(-pairs // bank.pairs), bank).flatten(axis, axis + 1).narrow(axis, 0, even)
    return found if even == size else torch.cat([found, values.narrow(axis, pairs, 1)], axis)


def _worth_windows(name: str, size: int) -> bool:
    return size >= max(LONG, 4 * filter_length(name))


def _pairs_of_a_window(pairs: int) -> int:
    """The most that divide them, so that nothing is computed twice."""
    return next((many for many in range(MOST_PAIRS, FEWEST_PAIRS - 1, -1) if pairs % many == 0), MOST_PAIRS)


@dataclass(frozen=True)
class _Bank:
    """pairs: of a window. split: (pixels of a window, 2 pairs), to averages, then details. merge: (2, those of a
    window, 2 pairs), averages, and details, to pixels. before, earlier: places of a window before its first."""

    pairs: int
    split: Tensor
    before: int
    merge: Tensor
    earlier: int


def _split(values: Tensor, axis: int, windows: int, bank: _Bank) -> Tensor:
    """(..., windows, 2 pairs, ...)."""
    matrix, width, step = bank.split.to(values.device), len(bank.split), 2 * bank.pairs
    if axis < values.dim() - 1:
        places = _places(values.shape[axis], windows, step, width, bank.before)
        return _times_rows(matrix, values, axis, places)
    (parts,) = _last_windows([values], windows, step, width, bank.before)
    found = torch.bmm(parts, matrix.expand(windows, -1, -1))
    return found.transpose(0, 1).reshape(*values.shape[:-1], windows, 2 * bank.pairs)


def _merged(values: Tensor, axis: int, windows: int, bank: _Bank) -> Tensor:
    """(..., windows, 2 pairs, ...)."""
    matrix, width, pairs = bank.merge.to(values.device), bank.merge.shape[1], values.shape[axis] // 2
    details = values.shape[axis] - pairs
    if axis < values.dim() - 1:
        places = _places(pairs, windows, bank.pairs, width, bank.earlier)
        return _times_rows(matrix.flatten(0, 1), values, axis, torch.cat([places, details + places], 1))
    halves = [values[..., start : start + pairs] for start in (0, details)]
    first, second = _last_windows(halves, windows, bank.pairs, width, bank.earlier)
    found = torch.bmm(first, matrix[0].expand(windows, -1, -1))
    found = torch.baddbmm(found, second, matrix[1].expand(windows, -1, -1))
    return found.transpose(0, 1).reshape(*values.shape[:-1], windows, 2 * bank.pairs)


@cache
@torch.inference_mode(False)
def _places(size: int, windows: int, step: int, width: int, before: int) -> Tensor:
    """(windows, width): what each window holds of an axis that goes on periodically."""
    starts = step * torch.arange(windows)[:, None] - before
    return (starts + torch.arange(width)) % size


def _times_rows(matrix: Tensor, values: Tensor, axis: int, places: Tensor) -> Tensor:
    """Windows of an axis before the last, each times the matrix. places: (windows, width)."""
    (windows, width), out = places.shape, matrix.shape[1]
    chosen = values.contiguous().index_select(axis, places.flatten().to(values.device))
    parts = chosen.reshape(-1, width, values.shape[axis + 1 :].numel())
    found = torch.bmm(matrix.T.expand(len(parts), out, width), parts)
    return found.reshape(*values.shape[:axis], windows, out, *values.shape[axis + 1 :])


def _last_windows(parts: list[Tensor], windows: int, step: int, width: int, before: int) -> list[Tensor]:
    """(windows, K, width) of each part: windows of the last axis, which overlap in memory."""
    size, length = parts[0].shape[-1], (windows - 1) * step + width
    after = length - before - size
    around = [(part[..., size - before :], part, part[..., :after]) for part in parts]
    joined = torch.cat([piece for pieces in around for piece in pieces], -1)
    rows = joined.reshape(-1, joined.shape[-1])
    starts = range(0, rows.shape[1], length)
    return [rows.narrow(1, start, length).unfold(1, width, step).transpose(0, 1) for start in starts]


def _times(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    if axis == values.dim() - 1:
        return values @ matrix.T
    return (matrix @ values.movedim(axis, -2)).movedim(-2, axis)


@cache
@torch.inference_mode(False)
def _bank(name: str, pairs: int, dtype: torch.dtype) -> _Bank:
    low, high = _filters(name)
    length, half = len(low), len(low) // 2
    before, earlier = length - 1 - half, half // 2
    split = torch.zeros(2 * pairs + length - 2, 2 * pairs, dtype=torch.float64)
    merge = torch.zeros(2, pairs + earlier + (length - half) // 2, 2 * pairs, dtype=torch.float64)
    for which, taps in enumerate((low, high)):
        for tap in range(length):
            for pair in range(-earlier, merge.shape[1] - earlier):
                place = 2 * pair + half - tap
                if 0 <= pair < pairs:
                    split[place + before, which * pairs + pair] = taps[tap]
                if 0 <= place < 2 * pairs:
                    merge[which, pair + earlier, place] = taps[tap]
    return _Bank(pairs, split.to(dtype), before, merge.to(dtype), earlier)


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
@torch.inference_mode(False)
def whole_matrix(name: str, size: int, dtype: torch.dtype) -> Tensor:
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
