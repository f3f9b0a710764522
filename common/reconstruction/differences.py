"""Differences of neighbours along every axis of space: D of total variation and of first-order Tikhonov."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from common.errors import StudyError


def scales(axes: int, spacing: Sequence[float]) -> tuple[float, ...]:
    """What differences along each axis are multiplied by: one over its spacing; ones without any.

    Raises StudyError where spacing is of another number of axes.
    """
    if spacing and len(spacing) != axes:
        raise StudyError(f"spacing must have one number for each of the {axes} axes; it is {tuple(spacing)!r}.")
    return tuple(1 / one for one in spacing) if spacing else (1.0,) * axes


def differences(images: Tensor, scaled: Sequence[float], periodic: bool) -> Tensor:
    """(N, C, D, *S): x[i + 1] - x[i] along axis d, times its scale. The last is zero, or wraps round if periodic."""
    found = images.new_zeros(*images.shape[:2], len(scaled), *images.shape[2:])
    for axis, scale in enumerate(scaled):
        place, size = axis + 2, images.shape[axis + 2]
        along = found.select(2, axis)
        along.narrow(place, 0, size - 1).copy_(images.narrow(place, 1, size - 1) - images.narrow(place, 0, size - 1))
        if periodic:
            along.narrow(place, size - 1, 1).copy_(images.narrow(place, 0, 1) - images.narrow(place, size - 1, 1))
        along.mul_(scale)
    return found


def adjoint_differences(fields: Tensor, scaled: Sequence[float], periodic: bool) -> Tensor:
    """The adjoint of `differences`: (N, C, *S). What is beyond the last pixel counts for nothing unless periodic."""
    images = fields.new_zeros(*fields.shape[:2], *fields.shape[3:])
    for axis, scale in enumerate(scaled):
        place, size = axis + 2, images.shape[axis + 2]
        along = fields.select(2, axis)
        bulk = along.narrow(place, 0, size - 1)
        images.narrow(place, 0, size - 1).sub_(bulk, alpha=scale)
        images.narrow(place, 1, size - 1).add_(bulk, alpha=scale)
        if periodic:
            last = along.narrow(place, size - 1, 1)
            images.narrow(place, size - 1, 1).sub_(last, alpha=scale)
            images.narrow(place, 0, 1).add_(last, alpha=scale)
    return images


def largest_difference(scaled: Sequence[float]) -> float:
    """No singular value of `differences` is larger."""
    return float(2 * sum(scale**2 for scale in scaled) ** 0.5)
