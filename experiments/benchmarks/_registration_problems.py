"""What the registration benchmark asks: pairs whose true transform is known, and pairs of hippocampi with labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from common.data.geometry import Geometry
from common.data.image import Image, read_image, read_labels
from common.registration.displacement import DisplacementField
from common.registration.evaluation import label_dice, negative_jacobian_share
from common.registration.linear import Linear, LinearFamily
from common.registration.pyramid import coarser
from common.registration.sampling import lattice_points, resample
from common.registration.transform import Transform
from common.seeding import generator

AFFINE_CASES = 3
SLICES = (55, 68, 81, 94, 107, 120)
HIPPOCAMPUS_PAIRS = 6
SPACING_FACTOR = 2.0
BRIGHT = 20.0
MEAN_MM = 4.4
SMOOTHNESS_VOXELS = 9.0
NOISE = 1.0
OTHER_CONTRAST = ([0.0, 15.0, 40.0, 75.0, 105.0, 133.0], [0.0, 50.0, 130.0, 95.0, 50.0, 20.0])
"""From T1 to what T2 looks like: fluid bright, white matter darker than grey."""
Scores = dict[str, float]


class Judge(Protocol):
    """How good a transform is: "error mm", or "Dice" and "folded %"."""

    def scores(self, found: Transform) -> Scores:
        """By name."""
        ...


@dataclass(frozen=True, eq=False)
class Known:
    """The transform there is, and (N, 3) or (N, 2) world points of the fixed image's head to judge by."""

    true: Transform
    points: NDArray[np.float64]
    voxel_mm: float = 1.0

    def scores(self, found: Transform) -> Scores:
        """Mean distance to where the points should be, in voxels too."""
        points = torch.from_numpy(self.points)
        with torch.no_grad():
            errors = (found.map_points(points) - self.true.map_points(points)).norm(dim=-1)
        return {"error mm": float(errors.mean()), "voxels": float(errors.mean()) / self.voxel_mm}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of both images."""

    fixed: Image
    moving: Image

    def scores(self, found: Transform) -> Scores:
        """Mean Dice over labels, and the share of voxels where space folds."""
        folded = 100 * negative_jacobian_share(found, self.fixed.geometry)
        return {"Dice": float(np.nanmean(label_dice(found, self.fixed, self.moving))), "folded %": folded}


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images, axes along the world's, and who judges."""

    fixed: Image
    moving: Image
    judge: Judge


def brain(folder: Path) -> Image:
    """Of 1 mm, T1."""
    return read_image(folder / "antspy_ch2.nii.gz")


def flat_problems(whole: Image, *, same: bool) -> Iterator[ImagePair]:
    """Slices of 1 mm, turned and shifted by up to 10 mm each."""
    geometry = Geometry.of(whole.geometry.shape[:2], whole.geometry.spacing_mm[:2], whole.geometry.origin_mm[:2])
    for height in SLICES:
        rng = generator(height, "rigid benchmark")
        family = LinearFamily("rigid", torch.tensor(geometry.centre_mm), 70.0, Linear.identity(2))
        true = family.at(torch.from_numpy(rng.uniform(-10, 10, size=3)))
        yield _problem(Image(whole.values[:, :, height], geometry), true, rng, 1.0, same=same)


def affine_problems(whole: Image, *, same: bool) -> Iterator[ImagePair]:
    """Random affine transforms that move the brain by about 9 mm."""
    family = LinearFamily("affine", torch.tensor(whole.geometry.centre_mm), 70.0, Linear.identity(3))
    for case in range(AFFINE_CASES):
        rng = generator(case, "affine benchmark")
        true = family.at(torch.from_numpy(rng.uniform(-7, 7, size=12)))
        yield _problem(whole, true, rng, SPACING_FACTOR, same=same)


def deformed_problem(whole: Image) -> ImagePair:
    """Smoothed noise, 4.4 mm on average over the brain."""
    rng = generator(0, "deformable benchmark")
    fixed = coarser(whole, SPACING_FACTOR)
    field = np.stack([gaussian_filter(rng.normal(size=fixed.geometry.shape), SMOOTHNESS_VOXELS) for _ in range(3)])
    field *= MEAN_MM / np.linalg.norm(field, axis=0)[fixed.values > BRIGHT].mean()
    return _problem(whole, DisplacementField(torch.from_numpy(field), fixed.geometry), rng, SPACING_FACTOR, same=True)


def hippocampus_problems(folder: Path) -> Iterator[ImagePair]:
    """Each of the first patients with the next, intensities from the 1st to the 99th percentile as 0 to 100."""
    paths = sorted((folder / "images").glob("*.nii.gz"))
    for fixed, moving in islice(zip(paths[::2], paths[1::2], strict=False), HIPPOCAMPUS_PAIRS):
        labels = [read_labels(folder / "labels" / path.name) for path in (fixed, moving)]
        yield ImagePair(_normalised(read_image(fixed)), _normalised(read_image(moving)), Labelled(*labels))


def _problem(whole: Image, true: Transform, rng: np.random.Generator, factor: float, *, same: bool) -> ImagePair:
    """The moving image is made at full resolution, then both are brought to less of it, with a little noise."""
    fixed = coarser(whole, factor)
    moved = _moved(whole, true.inverse()) if factor == 1 else resample(whole, whole.geometry, true.inverse())
    contrast = moved if same else Image(np.interp(moved.values, *OTHER_CONTRAST), whole.geometry)
    noisy = [
        Image(image.values + rng.normal(0, NOISE, image.values.shape).astype(np.float32), image.geometry)
        for image in (fixed, coarser(contrast, factor))
    ]
    step = 20 if whole.geometry.dimensions == 3 else 3
    points = fixed.geometry.voxel_to_world(np.argwhere(fixed.values > BRIGHT)[::step])
    return ImagePair(noisy[0], noisy[1], Known(true, points, fixed.geometry.spacing_mm[0]))


def _moved(image: Image, transform: Transform) -> Image:
    """By cubic splines: what is not averaged afterwards must not be blurred before."""
    places = image.geometry.world_to_voxel(transform.map_points(lattice_points(image.geometry)).numpy())
    return Image(map_coordinates(image.values, np.moveaxis(places, -1, 0), order=3), image.geometry)


def _normalised(image: Image) -> Image:
    low, high = np.percentile(image.values, (1, 99))
    return Image(100 * np.clip((image.values - low) / (high - low), 0, 1), image.geometry)
