"""The spatial transformer layer (Jaderberg et al. 2015), and fields of displacement in voxels.

A field is (N, D, *S) float32 with D = len(S) = 2 or 3: channel a is the displacement along array axis a, in voxels.
It takes points of the fixed image to points of the moving one, so that warping an image reads it at i + u(i).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate


def warp(
    images: Tensor,
    displacement_voxels: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding: Literal["zeros", "border"] = "border",
) -> Tensor:
    """(N, C, *S) images read at i + u(i): (N, C, *S). Linear along each axis; differentiable in both arguments."""
    sizes = images.shape[2:]
    lattice = _new_identity if torch.compiler.is_exporting() else _identity
    points = lattice(tuple(sizes)).to(displacement_voxels) + displacement_voxels
    if mode == "bilinear" and images.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        return gathered(images, points, padding)
    scale = points.new_tensor([2.0 / size for size in sizes])
    cube = (points.movedim(1, -1) + 0.5) * scale - 1
    warped: Tensor = grid_sample(images, cube.flip(-1), mode=mode, padding_mode=padding, align_corners=False)
    return warped


def gathered(images: Tensor, points_voxels: Tensor, padding: Literal["zeros", "border"]) -> Tensor:
    """(N, C, *S) read linearly at (N, D, *R) points: as grid_sample, by gathering the corners of each point's voxel.

    Its gradients a GPU adds up in a fixed order; those of grid_sample it does not.
    """
    sizes = images.shape[2:]
    if padding == "border":
        axes = [points_voxels[:, axis].clamp(0, size - 1) for axis, size in enumerate(sizes)]
    else:
        axes = list(points_voxels.unbind(1))
    shape = (*images.shape[:2], *points_voxels.shape[2:])
    lower, values, read = [axis.floor() for axis in axes], images.flatten(2), images.new_zeros(shape)
    for corner in product((0, 1), repeat=len(sizes)):
        index, weight = torch.zeros_like(lower[0], dtype=torch.int64), torch.ones_like(lower[0])
        for step, size, place, low in zip(corner, sizes, axes, lower, strict=True):
            there = low + step
            weight = weight * (1 - (place - there).abs()) * ((there >= 0) & (there < size))
            index = index * size + there.clamp(0, size - 1).long()
        at = index.flatten(1)[:, None].expand(-1, images.shape[1], -1)
        read = read + values.gather(2, at).reshape(shape) * weight[:, None]
    return read


def integrate(velocity_voxels: Tensor, squarings: int = 6) -> Tensor:
    """The displacement that a stationary velocity field gives after unit time: exp(v).

    Scaling and squaring (Arsigny et al. 2006; Dalca et al. 2019, equation 3). The inverse is `integrate(-v)`.
    """
    displacement: Tensor = velocity_voxels / float(2**squarings)
    for _ in range(squarings):
        displacement = compose(displacement, displacement)
    return displacement


def compose(first: Tensor, second: Tensor) -> Tensor:
    """The field of x -> x + first(x), then y -> y + second(y)."""
    return first + warp(second, first)


def on_lattice(displacement_voxels: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """A field on another lattice of the same cube: interpolated linearly, and in that lattice's voxels."""
    if tuple(displacement_voxels.shape[2:]) == sizes:
        return displacement_voxels
    mode = "bilinear" if len(sizes) == 2 else "trilinear"
    ratio = [after / before for after, before in zip(sizes, displacement_voxels.shape[2:], strict=True)]
    scale = displacement_voxels.new_tensor(ratio).reshape(1, -1, *(1 for _ in sizes))
    return interpolate(displacement_voxels, size=sizes, mode=mode, align_corners=False) * scale


def shrunk(images: Tensor, times: int) -> Tensor:
    """(N, C, *S) -> (N, C, *(S // times)): means over the cubes that each coarser voxel stands for."""
    return (
        images if times == 1 else interpolate(images, size=[side // times for side in images.shape[2:]], mode="area")
    )


def squared_gradient(displacement: Tensor) -> Tensor:
    """(N,) mean over axes, channels and voxels of squared forward differences (Balakrishnan et al. 2019, eq. 8)."""
    axes = range(2, displacement.ndim)
    return torch.stack([displacement.diff(dim=axis).square().flatten(1).mean(1) for axis in axes]).mean(0)


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """(N, *(S - 1)) determinants of d(i + u)/di by forward differences; where it is not above 0 space is folded."""
    dimensions = displacement.shape[1]
    columns = [_difference(displacement, axis) for axis in range(dimensions)]
    jacobian = torch.stack(columns, dim=-1).movedim(1, -2)
    determinant: Tensor = torch.linalg.det(jacobian + torch.eye(dimensions).to(jacobian))
    return determinant


def _difference(displacement: Tensor, axis: int) -> Tensor:
    """Forward difference along an axis, cut to where all axes have one."""
    cut = [slice(None), slice(None), *(slice(0, size - 1) for size in displacement.shape[2:])]
    cut[2 + axis] = slice(None)
    return displacement[tuple(cut)].diff(dim=2 + axis)


@lru_cache(maxsize=8)
def _identity(sizes: tuple[int, ...]) -> Tensor:
    """The same, kept. An exporter's would be a tensor without values, and is not to be met again."""
    return _new_identity(sizes)


def _new_identity(sizes: tuple[int, ...]) -> Tensor:
    """(1, D, *S) voxel indices."""
    return torch.stack(torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij"))[None]
