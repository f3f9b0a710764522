"""How good a registration is, by what no similarity optimised: landmarks, labels, known deformations, folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from common.data.geometry import Geometry, Points
from common.data.image import Image
from common.errors import ImageError
from common.metrics.maps import as_labels
from common.metrics.overlap import Overlap, dice
from common.registration.sampling import lattice_points, resample
from common.registration.transform import SLOPE_STEP_VOXELS, Transform, jacobian_determinants
from common.registration.used import Used

Distances = NDArray[np.float64]


def target_registration_error_mm(
    transform: Transform, fixed: ArrayLike, moving: ArrayLike, used: Used | None = None
) -> Distances:
    """How far the transform takes landmarks from where they belong: the TRE of Fitzpatrick et al. 1998.

    Args:
        transform: from fixed to moving world points.
        fixed: (N, D) landmarks, world mm.
        moving: (N, D) the same landmarks of the moving image, world mm.
        used: what the registration looked at; an error of landmarks that it was given would tell nothing.

    Returns:
        (N,) distances in mm.

    Raises:
        ImageError: for other shapes, and for landmarks that were `used`.
    """
    one, two = _landmarks(fixed, transform.dimensions), _landmarks(moving, transform.dimensions)
    if one.shape != two.shape:
        raise ImageError(f"there are {len(one)} fixed and {len(two)} moving landmarks; each needs its counterpart.")
    if used is not None:
        used.check_landmarks(one)
    with torch.no_grad():
        there = transform.map_points(torch.from_numpy(one)).numpy()
    return np.asarray(np.linalg.norm(there - two, axis=-1))


def label_dice(
    transform: Transform,
    fixed: Image,
    moving: Image,
    labels: Sequence[int] | None = None,
    used: Used | None = None,
) -> Distances:
    """Dice of fixed labels and moving labels brought there, nearest.

    Args:
        transform: from fixed to moving world points.
        fixed: the fixed image's labels.
        moving: the moving image's labels.
        labels: which; by default all but 0, in order.
        used: what the registration looked at; labels that it was given would tell nothing.

    Returns:
        (L,), NaN where neither image has the label.

    Raises:
        ImageError: for labels that were `used` to register.
    """
    if used is not None:
        used.check_labels(fixed)
        used.check_labels(moving)
    moving = Image(as_labels(moving.values, "the moving label map"), moving.geometry)
    brought = resample(moving, fixed.geometry, transform, labels=True).values
    truth = as_labels(fixed.values, "the fixed label map")
    known = np.union1d(truth, moving.values)
    wanted = known[known != 0] if labels is None else np.asarray(labels, np.int64)
    names = np.union1d(known, wanted)
    scores = dice(Overlap.of(np.searchsorted(names, truth), np.searchsorted(names, brought), len(names)))
    return np.asarray(scores[np.searchsorted(names, wanted)])


def endpoint_error_mm(found: Transform, true: Transform, geometry: Geometry, mask: Image | None = None) -> Distances:
    """(N,) distances at the voxels of a lattice, or of a mask on it, between where two transforms take them: EPE."""
    points = _voxels(geometry, mask)
    with torch.no_grad():
        errors = (found.map_points(points) - true.map_points(points)).norm(dim=-1)
    return np.asarray(errors.numpy())


def negative_jacobian_share(transform: Transform, geometry: Geometry, mask: Image | None = None) -> float:
    """Share of a lattice's voxels, or of a mask's, where space folds: the Jacobian's determinant is 0 or less."""
    with torch.no_grad():
        step_mm = SLOPE_STEP_VOXELS * min(geometry.spacing_mm)
        return float((jacobian_determinants(transform, _voxels(geometry, mask), step_mm) <= 0).double().mean())


def _voxels(geometry: Geometry, mask: Image | None) -> torch.Tensor:
    points = lattice_points(geometry)
    if mask is None:
        return points.flatten(0, -2)
    if not mask.geometry.same_place(geometry) or not mask.values.any():
        raise ImageError("the mask must lie on the same lattice and must not be empty.")
    return points[torch.from_numpy(mask.values.astype(bool))]


def _landmarks(points: ArrayLike, dimensions: int) -> Points:
    given = np.asarray(points, np.float64)
    if given.ndim != 2 or given.shape[1] != dimensions or not np.isfinite(given).all():
        raise ImageError(f"landmarks must be N x {dimensions} finite numbers; they are {given.shape}.")
    return given
