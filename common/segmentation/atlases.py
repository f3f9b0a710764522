"""Segmentation by atlases: register labelled images to a new one, carry their labels over, and fuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from common.data.image import Image
from common.errors import ImageError
from common.metrics.agreement import majority_vote
from common.metrics.doors import as_choice, as_number, as_whole
from common.metrics.images.pairs import as_values
from common.metrics.maps import Labels, as_labels
from common.registration.register import register
from common.registration.sampling import least_value, resample
from common.registration.transform import Transform

Values = NDArray[np.floating]
Register = Callable[[Image, Image], Transform]
FUSIONS = ("majority", "locally_weighted")
SMALLEST_DIFFERENCE = 1e-6
LARGEST_VALUE = 1e100
"""Its square is a number."""
LARGEST_POWER, LARGEST_RADIUS_VOXELS = 16.0, 1 << 10


@dataclass(frozen=True)
class Atlas:
    """An image and its labels, on one lattice. Raises ImageError where they are not."""

    image: Image
    labels: Image

    def __post_init__(self) -> None:
        if not self.image.geometry.same_place(self.labels.geometry):
            raise ImageError("an atlas and its labels must lie in the same place; their lattices differ.")


def register_deformably(moving: Image, fixed: Image) -> Transform:
    """An affine map, then a dense displacement by local correlation."""
    return register(moving, fixed, "displacement", "local_cc").transform


def segment(
    target: Image,
    atlases: Sequence[Atlas],
    fusion: Literal["majority", "locally_weighted"] = "locally_weighted",
    registration: Register = register_deformably,
) -> Image:
    """Labels of the target, int64, from one atlas or several (Heckemann 2006; Artaechevarria 2009).

    registration: finds where each point of the target lies in an atlas. Raises ImageError where there is no atlas.
    """
    as_choice(fusion, "fusion of atlases", FUSIONS)
    if not atlases:
        raise ImageError("segmentation by atlases needs one atlas at least.")
    images, labels = [], []
    for atlas in atlases:
        transform = registration(atlas.image, target)
        air = least_value(atlas.image)
        images.append(resample(atlas.image, target.geometry, transform, outside=air).values)
        labels.append(resample(atlas.labels, target.geometry, transform, labels=True).values.astype(np.int64))
    if len(labels) == 1:
        return Image(labels[0], target.geometry)
    fused = majority_vote(labels) if fusion == "majority" else locally_weighted_vote(labels, images, target.values)
    return Image(fused, target.geometry)


def locally_weighted_vote(
    labels: Sequence[Labels], images: Sequence[Values], target: Values, radius_voxels: int = 2, power: float = 2.0
) -> NDArray[np.int64]:
    """The label with most weight, voxel by voxel; of equal ones the lowest.

    An atlas weighs (mean squared difference to the target within the radius) ** -power (Artaechevarria et al.
    2009, equation 7), all images scaled to mean 0 and deviation 1 first. labels, images: one of each an atlas, of
    the target's shape. Raises ImageError where shapes or numbers differ.
    """
    power = as_number(power, "power", 0.0, LARGEST_POWER)
    radius_voxels = as_whole(radius_voxels, "radius_voxels", 0, LARGEST_RADIUS_VOXELS)
    target = as_values(target, "the target")
    labels = [as_labels(part, f"labels of atlas {number}") for number, part in enumerate(labels, 1)]
    images = [as_values(part, f"the image of atlas {number}") for number, part in enumerate(images, 1)]
    shapes = {array.shape for array in (*labels, *images)}
    if len(labels) != len(images) or shapes != {target.shape}:
        raise ImageError(
            f"each atlas needs labels and an image of the target's shape {target.shape}; they are {shapes}."
        )
    if max(float(np.abs(image).max()) for image in (target, *images)) > LARGEST_VALUE:
        raise ImageError(f"values of images must lie within {LARGEST_VALUE:g}; some do not.")
    width = 2 * radius_voxels + 1
    weights = [
        (uniform_filter((_standard(image) - _standard(target)) ** 2, width) + SMALLEST_DIFFERENCE) ** -power
        for image in images
    ]
    known = np.unique(np.concatenate([np.unique(part) for part in labels]))
    votes = np.zeros((len(known), *target.shape))
    for part, weight in zip(labels, weights, strict=True):
        for index, label in enumerate(known):
            votes[index] += weight * (part == label)
    return np.asarray(known[votes.argmax(axis=0)], np.int64)


def _standard(values: Values) -> NDArray[np.float64]:
    exact = values.astype(np.float64)
    return np.asarray((exact - exact.mean()) / max(float(exact.std()), SMALLEST_DIFFERENCE))
