"""A new pair of images to be laid on each other, and a network's displacement as a field in mm and a moved image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from client.new_cases import Numbers
from client.sources._nifti_volume import Volume
from client.sources._volume_fitting import first_voxel
from client.sources._volume_new import Lying
from common.data.geometry import Geometry
from common.registration.displacement import DisplacementField
from common.registration.itk_files import write_transform


@dataclass(frozen=True, eq=False)
class Pair:
    """moving, fixed: as they were read; both were cropped or filled about their own centres to `size`.

    lying: where the fixed image lies.
    """

    moving: Volume
    fixed: Volume
    size: tuple[int, ...]
    lying: Lying

    def write_moved(self, displacement_voxels: Numbers, path: Path) -> None:
        """The moving image on the lattice of the fixed file, in its own intensities; its least value beyond it.

        displacement_voxels: (3, *size), as the network answers. Beyond `size` that of the nearest voxel holds.
        """
        image, shape = self.moving.image, self.fixed.image.shape
        places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float64)
        framed = places - self._first(self.fixed)
        nearest = np.clip(framed, 0, np.array(self.size).reshape(-1, 1, 1, 1) - 1).astype(np.int64)
        to = framed + displacement_voxels[:, nearest[0], nearest[1], nearest[2]] + self._first(self.moving)
        moved: Numbers = ndimage.map_coordinates(image, to, order=1, mode="constant", cval=float(image.min()))
        self.lying.write(self.lying.turn.back(moved.astype(np.float32)), path)

    def write_field(self, displacement_voxels: Numbers, path: Path) -> None:
        """Vectors in mm from points of the fixed to points of the moving image, as ITK reads them."""
        affine = np.array(self.fixed.affine)
        affine[:3, 3] = affine[:3, :3] @ self._first(self.fixed).ravel() + affine[:3, 3]
        places = np.stack(np.meshgrid(*map(np.arange, self.size), indexing="ij")).reshape(3, -1).astype(np.float64)
        to = places + displacement_voxels.reshape(3, -1) + self._first(self.moving).reshape(3, 1)
        here = affine[:3, :3] @ places + affine[:3, 3:]
        there = self.moving.affine[:3, :3] @ to + self.moving.affine[:3, 3:]
        vectors = torch.from_numpy((there - here).reshape(3, *self.size))
        write_transform(DisplacementField(vectors, Geometry(self.size, affine)), path)

    def _first(self, volume: Volume) -> NDArray[np.float64]:
        """(3, 1, 1, 1): the voxel of a volume that comes first within `size`."""
        return np.array(first_voxel(volume.image.shape, self.size), np.float64).reshape(3, 1, 1, 1)
