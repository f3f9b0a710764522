"""Labels of several atlases made one: by weight of similarity, or by weights that know which atlases err together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from common.errors import ImageError
from common.metrics.doors import as_number, as_whole
from common.metrics.images.pairs import as_values
from common.metrics.maps import Labels, as_labels

Values = NDArray[np.floating]
Exact = NDArray[np.float64]
SMALLEST_DIFFERENCE = 1e-6
LARGEST_VALUE = 1e100
"""Its square is a number."""
LARGEST_POWER, LARGEST_RADIUS_VOXELS = 16.0, 1 << 10
NUMBERS_AT_ONCE = 1 << 23


def joint_vote(
    labels: Sequence[Labels],
    images: Sequence[Values],
    target: Values,
    radius_voxels: int = 2,
    voting_radius: int = 3,
    alpha: float = 0.03,
    beta: float = 2.0,
) -> NDArray[np.int64]:
    """Joint label fusion (Wang et al. 2013): the label with most weight, voxel by voxel; of equal ones the lowest.

    Weights are those that make the expected error least: w = M^-1 1 / (1' M^-1 1), where M holds how often two
    atlases err at once: the mean of |t - a_i| |t - a_j| over the patch to the power `beta`, with `alpha` added to
    its diagonal. So ten atlases with one and the same error count as one. Errors are taken twice and added: of images
    scaled as a whole, which know tissues apart, and of patches scaled one by one as Wang et al. do, in which shading
    does not count. Each voxel's weights vote for all within `voting_radius`.

    Args:
        labels: (*S) whole numbers, one map an atlas.
        images: (*S) of each atlas, on the target's lattice.
        target: (*S), the image that is outlined.
        radius_voxels: of the patch in which errors are compared.
        voting_radius: within which a voxel's weights vote.
        alpha: added to M's diagonal.
        beta: the power of errors.

    Returns:
        (*S) int64.

    Raises:
        ImageError: shapes or numbers differ.
    """
    radius_voxels = as_whole(radius_voxels, "radius_voxels", 0, LARGEST_RADIUS_VOXELS)
    voting_radius = as_whole(voting_radius, "voting_radius", 0, LARGEST_RADIUS_VOXELS)
    alpha, beta = as_number(alpha, "alpha", SMALLEST_DIFFERENCE), as_number(beta, "beta", 0.0, LARGEST_POWER)
    labels, images, target = alike(labels, images, target)
    stacked = np.stack(labels)
    disputed = (stacked != stacked[0]).any(axis=0)
    weights = np.full((len(labels), *target.shape), 1 / len(labels))
    offsets = patch_offsets(target.ndim, radius_voxels)
    padded = [np.pad(_standard(one), radius_voxels, mode="edge") for one in (target, *images)]
    for places in _in_parts(np.argwhere(disputed), 2 * len(padded) * len(offsets)):
        patches = np.stack([_patches(one, places + radius_voxels, offsets) for one in padded], axis=1)
        errors = (_together(patches) + _together(_centred(patches))) / len(offsets)
        found = np.linalg.solve(errors**beta + alpha * np.eye(len(labels)), np.ones((len(places), len(labels), 1)))
        weights[:, *places.T] = (found / found.sum(axis=1, keepdims=True))[..., 0].T
    return heaviest(labels, [uniform_filter(part, 2 * voting_radius + 1) for part in weights])


def locally_weighted_vote(
    labels: Sequence[Labels], images: Sequence[Values], target: Values, radius_voxels: int = 2, power: float = 2.0
) -> NDArray[np.int64]:
    """The label with most weight, voxel by voxel; of equal ones the lowest.

    An atlas weighs (mean squared difference to the target within the radius) ** -power (Artaechevarria et al.
    2009, equation 7), all images scaled to mean 0 and deviation 1 first.

    Args:
        labels: (*S) whole numbers, one map an atlas.
        images: (*S) of each atlas, on the target's lattice.
        target: (*S), the image that is outlined.
        radius_voxels: of the patch in which images are compared.
        power: how much nearness counts.

    Returns:
        (*S) int64.

    Raises:
        ImageError: shapes or numbers differ.
    """
    power = as_number(power, "power", 0.0, LARGEST_POWER)
    radius_voxels = as_whole(radius_voxels, "radius_voxels", 0, LARGEST_RADIUS_VOXELS)
    labels, images, target = alike(labels, images, target)
    width = 2 * radius_voxels + 1
    weights = [
        (uniform_filter((_standard(image) - _standard(target)) ** 2, width) + SMALLEST_DIFFERENCE) ** -power
        for image in images
    ]
    return heaviest(labels, weights)


def heaviest(labels: Sequence[Labels], weights: Sequence[Values]) -> NDArray[np.int64]:
    """The label whose atlases' weights sum to most, voxel by voxel; of equal sums the lowest label."""
    known = np.unique(np.concatenate([np.unique(part) for part in labels]))
    best = np.full(labels[0].shape, -np.inf)
    found = np.full(labels[0].shape, known[0], np.int64)
    for label in known:
        votes = np.zeros(labels[0].shape)
        for part, weight in zip(labels, weights, strict=True):
            votes += weight * (part == label)
        found[votes > best] = label
        np.maximum(best, votes, out=best)
    return found


def alike(
    labels: Sequence[Labels], images: Sequence[Values], target: Values
) -> tuple[list[Labels], list[Exact], Exact]:
    """All of one kind. Raises ImageError unless each atlas has labels and an image of the target's shape."""
    true = as_values(target, "the target")
    parts = [as_labels(part, f"labels of atlas {number}") for number, part in enumerate(labels, 1)]
    shown = [as_values(part, f"the image of atlas {number}") for number, part in enumerate(images, 1)]
    shapes = {array.shape for array in (*parts, *shown)}
    if len(parts) != len(shown) or shapes != {true.shape}:
        raise ImageError(
            f"each atlas needs labels and an image of the target's shape {true.shape}; they are {shapes}."
        )
    if max(float(np.abs(image).max()) for image in (true, *shown)) > LARGEST_VALUE:
        raise ImageError(f"values of images must lie within {LARGEST_VALUE:g}; some do not.")
    return parts, shown, true


def patch_offsets(dimensions: int, radius: int) -> NDArray[np.int64]:
    """(P, D) of a cube's voxels about its middle."""
    return np.array(list(product(range(-radius, radius + 1), repeat=dimensions)), np.int64)


def _in_parts(places: NDArray[np.int64], numbers_each: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, NUMBERS_AT_ONCE // numbers_each)
    for first in range(0, len(places), size):
        yield places[first : first + size]


def _patches(padded: Exact, places: NDArray[np.int64], offsets: NDArray[np.int64]) -> Exact:
    """(V, P) values about each of (V, D) places."""
    strides = np.array([int(np.prod(padded.shape[axis + 1 :])) for axis in range(padded.ndim)])
    return np.asarray(padded.ravel()[(places @ strides)[:, None] + offsets @ strides])


def _centred(patches: Exact) -> Exact:
    """Each of mean 0 and deviation 1; zeros where a patch is flat."""
    values = patches - patches.mean(axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(values.std(axis=-1, keepdims=True), SMALLEST_DIFFERENCE))


def _together(patches: Exact) -> Exact:
    """(V, A, A) sums of |t - a_i| |t - a_j| of (V, 1 + A, P), the target's patch first."""
    apart = np.abs(patches[:, 1:] - patches[:, :1])
    return np.asarray(apart @ apart.transpose(0, 2, 1))


def _standard(values: Values) -> Exact:
    exact = values.astype(np.float64)
    return np.asarray((exact - exact.mean()) / max(float(exact.std()), SMALLEST_DIFFERENCE))
