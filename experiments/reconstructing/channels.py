"""Arrays of files as the real tensors (N, C, ...) that operators know, and back; complex numbers are two channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError


def as_cases(values: NDArray[Any], slices: int | None) -> NDArray[Any]:
    """(N, ...): the axis that counts images first. Raises StudyError where there is no such axis."""
    if slices is None:
        return values[None]
    if not -values.ndim <= slices < values.ndim or values.ndim < 3:
        raise StudyError(
            f"--slices must be an axis of an array with three or more; it is {slices} of {values.shape}."
        )
    return np.moveaxis(values, slices, 0)


def in_channels(cases: NDArray[Any], shape: tuple[int, ...]) -> Tensor | None:
    """(N, *shape) float64 of cases that fill it; None where they do not.

    Complex numbers (N, *S) become (N, 2, *S), those of K coils (N, K, *S) become (N, 2 K, *S), and a single real
    channel is put first.
    """
    rest = cases.shape[1:]
    if cases.dtype.kind == "c":
        parts = np.stack([cases.real, cases.imag], axis=1 if rest == shape[1:] else 2)
        if rest == shape[1:] and shape[0] == 2:
            return torch.from_numpy(parts.astype(np.float64))
        if rest[1:] == shape[1:] and 2 * rest[0] == shape[0]:
            return torch.from_numpy(parts.astype(np.float64).reshape(-1, *shape))
        return None
    if rest == shape:
        return torch.from_numpy(np.array(cases, np.float64))
    return torch.from_numpy(np.array(cases[:, None], np.float64)) if (1, *rest) == shape else None


def out_of_channels(images: Tensor, slices: int | None) -> NDArray[Any]:
    """Of (N, 1, *S) real, of (N, 2, *S) complex numbers, the axis that counts images where it was."""
    values = images.detach().cpu().double().numpy()
    plain = values[:, 0] + 1j * values[:, 1] if values.shape[1] == 2 else values[:, 0]
    return plain[0] if slices is None else np.moveaxis(plain, 0, slices)
