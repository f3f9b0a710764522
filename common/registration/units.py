"""Worlds in which a voxel is far from a millimetre, such as slides under a microscope, searched as if it were one.

Searches stop at lengths in mm and begin with steps in mm, which suit bodies. Scaling both images' world by any number
scales what is found by the same number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.displacement import DisplacementField, VelocityField
from common.registration.free_form import FreeForm
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.transform import Composition, NumericalInverse, Transform

USUAL_MM = (0.25, 4.0)
"""Voxels from here to there are searched in mm."""


def suited_unit_mm(geometry: Geometry) -> float:
    """What is to be called 1: a mm, or the median edge of a voxel where that is far from it."""
    edges = [edge for edge, size in zip(geometry.spacing_mm, geometry.shape, strict=True) if size > 1]
    middle = float(np.median(edges or geometry.spacing_mm))
    return 1.0 if USUAL_MM[0] <= middle <= USUAL_MM[1] else middle


def pair_in_units(pair: Pair, unit_mm: float) -> Pair:
    """The same images, lengths in units."""
    if unit_mm == 1:
        return pair
    moving, fixed = (_image(image, 1 / unit_mm) for image in (pair.moving, pair.fixed))
    moving_mask, fixed_mask = (
        None if mask is None else _image(mask, 1 / unit_mm) for mask in (pair.moving_mask, pair.fixed_mask)
    )
    return Pair(moving, fixed, moving_mask, fixed_mask, tuple(pair_in_units(one, unit_mm) for one in pair.also))


def stretched(transform: Transform, factor: float) -> Transform:
    """x -> factor transform(x / factor): in mm what was found in units of `factor` mm."""
    if factor == 1:
        return transform
    if isinstance(transform, Composition):
        return Composition(stretched(transform.first, factor), stretched(transform.second, factor))
    if isinstance(transform, NumericalInverse):
        return replace(transform, forward=stretched(transform.forward, factor),
                       tolerance_mm=transform.tolerance_mm * factor)  # fmt: skip
    if isinstance(transform, Linear):
        matrix = transform.matrix.clone()
        matrix[:-1, -1] *= factor
        return Linear(matrix)
    if isinstance(transform, DisplacementField | VelocityField):
        return type(transform)(transform.vectors * factor, _geometry(transform.geometry, factor))
    if isinstance(transform, FreeForm):
        return FreeForm(transform.vectors * factor, _geometry(transform.lattice, factor))
    there, back = (_stretch(transform.dimensions, scale) for scale in (1 / factor, factor))
    return Composition(Composition(there, transform), back)


def _stretch(dimensions: int, factor: float) -> Linear:
    return Linear(torch.diag(torch.tensor([*[factor] * dimensions, 1.0], dtype=torch.float64)))


def _image(image: Image, factor: float) -> Image:
    return Image(image.values, _geometry(image.geometry, factor))


def _geometry(geometry: Geometry, factor: float) -> Geometry:
    affine = geometry.affine.copy()
    affine[:-1] *= factor
    return Geometry(geometry.shape, affine)
