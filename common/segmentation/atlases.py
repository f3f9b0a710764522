"""Segmentation by atlases: register labelled images to a new one, carry their labels over, and fuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.data.image import Image
from common.errors import ImageError
from common.metrics.agreement import majority_vote
from common.metrics.doors import as_choice
from common.registration.register import register
from common.registration.sampling import least_value, resample
from common.registration.transform import Transform
from common.segmentation.fusion import joint_vote, locally_weighted_vote

FUSIONS = ("majority", "locally_weighted", "joint")
Register = Callable[[Image, Image], Transform]


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
    fusion: Literal["majority", "locally_weighted", "joint"] = "joint",
    registration: Register = register_deformably,
) -> Image:
    """Labels of the target, int64, from one atlas or several (Heckemann 2006; Artaechevarria 2009; Wang 2013).

    fusion: joint is ahead of majority, and locally_weighted is behind it where atlases fit well or badly alike.
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
    if fusion == "majority":
        return Image(majority_vote(labels), target.geometry)
    vote = joint_vote if fusion == "joint" else locally_weighted_vote
    return Image(vote(labels, images, target.values), target.geometry)
