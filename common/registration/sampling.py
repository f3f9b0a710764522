"""Images at any world points, and images brought onto another lattice through a transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import grid_sample, pad

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.sampling_kernels import READ
from common.registration.transform import Transform

POINTS_AT_ONCE = 1 << 21
ROUNDING = 1e-9
"""What a place may be off by rounding: so much short of a face or of half-way counts as on it."""


@dataclass(frozen=True, eq=False)
class Sampler:
    """values: (C, *shape) of any real dtype on a lattice, read at world points."""

    values: Tensor
    geometry: Geometry

    @classmethod
    def of(cls, image: Image) -> Sampler:
        """One channel, float32."""
        return cls(torch.from_numpy(np.ascontiguousarray(image.values, np.float32))[None], image.geometry)

    @cached_property
    def to_cube(self) -> Tensor:
        """(D + 1, D + 1) float64: world mm to the cube, coordinates in the reverse order that torch wants."""
        forward = self.geometry.affine @ self.geometry.cube_affine
        inverse = np.linalg.inv(forward)
        inverse[:-1] = inverse[-2::-1]
        return torch.from_numpy(np.ascontiguousarray(inverse))

    def cube(self, points: Tensor) -> Tensor:
        """Cube coordinates, reversed, of world points (..., D)."""
        matrix = self.to_cube.to(points.dtype)
        return points @ matrix[:-1, :-1].T + matrix[:-1, -1]

    def at(self, points: Tensor, mode: str = "bilinear") -> tuple[Tensor, Tensor]:
        """Values at world points, and which points lie inside.

        Inside is as ITK has it: from a lower outer face on, up to an upper one without it, so that lattices side by
        side share no point. What is outside has the value of the nearest face.

        Args:
            points: (..., D) world points, mm.
            mode: "bilinear", linear in each axis, or "nearest".

        Returns:
            Values (C, ...), and (...) whether each lies inside.
        """
        cube = self.cube(points)
        return self.at_cube(cube, mode), _inside(cube.detach())

    def at_cube(self, cube: Tensor, mode: str = "bilinear") -> Tensor:
        """Values (C, ...) at reversed cube points (..., D)."""
        size = cube.shape[-1]
        if READ is not None and mode == "bilinear" and self._suits(cube):
            read_once: Tensor = _Read.apply(cube, self.values)  # type: ignore[no-untyped-call]
            return read_once
        flat = cube.reshape(1, *([1] * (size - 1)), -1, size)
        values = self.values.to(cube.dtype)[None]
        read = grid_sample(values, flat, mode=mode, padding_mode="border", align_corners=False)
        return read.reshape(len(self.values), *cube.shape[:-1])

    def _suits(self, cube: Tensor) -> bool:
        """Whether slopes will be asked for, of one channel at a list of points, which compiled code reads faster."""
        plain = cube.dtype == self.values.dtype == torch.float32
        return cube.requires_grad and plain and cube.ndim == 2 and len(self.values) == 1


class _Read(torch.autograd.Function):
    """Linear in each axis, its slopes found in the same pass."""

    @staticmethod
    def forward(ctx: Any, cube: Tensor, values: Tensor) -> Tensor:
        """(1, N)."""
        assert READ is not None
        lacking = 3 - cube.shape[1]
        image = values[0].reshape(*[1] * lacking, *values.shape[1:]).contiguous()
        solid = pad(cube.detach(), (0, lacking)).contiguous()
        found, slopes = READ(image.numpy(), solid.numpy())
        ctx.save_for_backward(torch.from_numpy(slopes)[:, : cube.shape[1]])
        return torch.from_numpy(found)[None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor, None]:
        """Pull times slope."""
        (slopes,) = ctx.saved_tensors
        return slopes * pull[0][:, None], None


def lattice_points(geometry: Geometry, dtype: torch.dtype = torch.float64) -> Tensor:
    """(*shape, D) world points of all voxels' centres."""
    axes = [torch.arange(size, dtype=torch.float64) for size in geometry.shape]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    affine = torch.tensor(geometry.affine)
    return (voxels @ affine[:-1, :-1].T + affine[:-1, -1]).to(dtype)


def resample(
    moving: Image, fixed: Geometry, transform: Transform, *, labels: bool = False, outside: float = 0.0
) -> Image:
    """The moving image on the fixed lattice: value at x is the moving value at transform(x).

    Equal to ITK's ResampleImageFilter. Places exactly on an upper outer face (1 of 109 slices after a shift by half
    a voxel) and labels half-way between voxels are where another rule would differ: both are decided in float64.

    Args:
        moving: the image that is read.
        fixed: the lattice that is filled.
        transform: from fixed to moving world points.
        labels: nearest and of the image's own dtype, half-way upwards; else linear, float32.
        outside: what comes from beyond the moving image: 0 is right for labels and displacements,
            `least_value(moving)` for images, whose air is -1000 in CT.

    Raises:
        ImageError: where dimensions differ, and where labels cannot hold `outside`.
    """
    check_fits(moving.geometry, fixed, transform)
    points = lattice_points(fixed).reshape(-1, fixed.dimensions)
    read = _nearest if labels else _linear
    with torch.no_grad():
        parts = [read(moving, transform.map_points(part), outside) for part in torch.split(points, POINTS_AT_ONCE)]
    return Image(np.concatenate(parts).reshape(fixed.shape), fixed)


def least_value(image: Image) -> float:
    """What an image has where there is nothing: its least value."""
    return float(image.values.min())


def check_fits(moving: Geometry, fixed: Geometry, transform: Transform) -> None:
    """Raise ImageError unless both lattices and the transform have equally many dimensions."""
    if not moving.dimensions == fixed.dimensions == transform.dimensions:
        raise ImageError(
            f"a {moving.dimensions}D image does not go onto a {fixed.dimensions}D one "
            f"by a {transform.dimensions}D transform."
        )


def _linear(moving: Image, points: Tensor, outside: float) -> NDArray[Any]:
    sampler = Sampler.of(moving)
    cube = sampler.cube(points)
    return sampler.at_cube(cube.float())[0].where(_inside(cube), torch.tensor(outside)).numpy()


def _nearest(moving: Image, points: Tensor, outside: float) -> NDArray[Any]:
    """By indices, not by floating-point values, so that large labels stay exact."""
    voxels = np.floor(moving.geometry.world_to_voxel(points.numpy()) + 0.5 + ROUNDING).astype(np.int64)
    last = np.array(moving.geometry.shape) - 1
    inside = ((voxels >= 0) & (voxels <= last)).all(-1)
    read = moving.values[tuple(np.clip(voxels, 0, last).T)]
    with np.errstate(invalid="ignore"):
        fill = np.asarray(outside).astype(moving.values.dtype)
    if fill != outside:
        raise ImageError(f"labels of {moving.values.dtype} cannot hold {outside:g}, the value outside.")
    return np.where(inside, read, fill)


def _inside(cube: Tensor) -> Tensor:
    return ((cube >= -1 - ROUNDING) & (cube < 1 - ROUNDING)).all(-1)
