"""Patches of images and volumes to train on: where they lie is drawn, more often than chance on what is outlined.

As in nnU-Net (Isensee et al. 2021): a share of the patches is centred on a voxel of a structure, the structure drawn
first, so that small ones are seen as often as large ones; the others lie anywhere. A volume that is smaller than the
patch is in its middle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

Starts = tuple[tuple[int, ...], ...]


def draw_starts(
    targets: Sequence[Tensor], patch: tuple[int, ...], foreground_share: float, rng: np.random.Generator
) -> Starts:
    """The first voxel of a patch in each of the cases; below 0 along an axis that is shorter than the patch.

    Args:
        targets: one (*S) of class indices a case, 0 being background.
        patch: its sides, in voxels.
        foreground_share: of patches that are drawn about a voxel which is not background, from 0 to 1.
        rng: of all draws.

    Returns:
        (cases, axes) whole numbers.
    """
    return tuple(_start(target.numpy(), patch, foreground_share, rng) for target in targets)


def cut(values: Tensor, start: tuple[int, ...], patch: tuple[int, ...], fill: float | Tensor = 0) -> Tensor:
    """(..., *patch) of (..., *S), from `start` on; what lies outside is `fill`: one number, or one a channel (C,)."""
    lengths = values.shape[-len(patch) :]
    inside = [slice(max(0, a), min(length, a + side)) for a, side, length in zip(start, patch, lengths, strict=True)]
    before: list[slice] = [slice(None)] * (values.ndim - len(patch))
    part = values[(*before, *inside)]
    if part.shape[-len(patch) :] == patch:
        return part
    whole = values.new_empty((*values.shape[: -len(patch)], *patch))
    whole[:] = fill.reshape(-1, *(1 for _ in patch)) if isinstance(fill, Tensor) else fill
    into = [slice(max(0, -a), max(0, -a) + one.stop - one.start) for a, one in zip(start, inside, strict=True)]
    whole[(*before, *into)] = part
    return whole


def cut_patches(
    inputs: Sequence[Tensor], targets: Sequence[Tensor], starts: Starts, patch: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """(N, C, *patch) and (N, *patch) of N cases (C, *S) and (*S). Outside a case is its least value, and class 0."""
    images = [cut(one, start, patch, least(one)) for one, start in zip(inputs, starts, strict=True)]
    return torch.stack(images), torch.stack([cut(one, a, patch) for one, a in zip(targets, starts, strict=True)])


def least(image: Tensor) -> Tensor:
    """(C,) the least value of every channel of (C, *S)."""
    return image.flatten(1).amin(1)


def centred(image: Tensor, patch: tuple[int, ...]) -> tuple[Tensor, tuple[slice, ...]]:
    """(C, *S) filled about its middle to at least the patch, and where the image lies in that."""
    lengths = image.shape[1:]
    missing = [max(0, side - length) for length, side in zip(lengths, patch, strict=True)]
    before = [short // 2 for short in missing]
    place = tuple(slice(a, a + length) for a, length in zip(before, lengths, strict=True))
    if not any(missing):
        return image, place
    widths = [width for a, short in zip(before[::-1], missing[::-1], strict=True) for width in (a, short - a)]
    lowest = least(image).reshape(-1, *(1 for _ in patch))
    return pad(image - lowest, widths) + lowest, place


def _start(
    target: NDArray[np.int64], patch: tuple[int, ...], foreground_share: float, rng: np.random.Generator
) -> tuple[int, ...]:
    room = [length - side for length, side in zip(target.shape, patch, strict=True)]
    on_foreground = rng.random() < foreground_share
    classes = np.flatnonzero(np.bincount(target.ravel())[1:]) + 1 if on_foreground else np.array([], np.int64)
    if len(classes):
        voxels = np.flatnonzero(target.ravel() == rng.choice(classes))
        centre = np.unravel_index(voxels[rng.integers(len(voxels))], target.shape)
        wanted = [int(voxel) - side // 2 for voxel, side in zip(centre, patch, strict=True)]
        return tuple(_within(a, free) for a, free in zip(wanted, room, strict=True))
    return tuple(int(rng.integers(free + 1)) if free > 0 else _within(0, free) for free in room)


def _within(start: int, room: int) -> int:
    """As near as a patch can lie; in the middle where it is longer than the case."""
    return min(max(0, start), room) if room >= 0 else -(-room // 2)
