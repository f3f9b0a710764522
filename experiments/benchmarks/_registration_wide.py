"""What the registration benchmark asks further afield: large turns, echoes, tissue of repeated cells, many pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.displacement import DisplacementField
from common.registration.linear import Linear
from common.registration.pyramid import coarser
from common.registration.sampling import resample
from common.registration.transform import Composition, Transform
from common.seeding import generator
from experiments.benchmarks._registration_changes import like_ultrasound
from experiments.benchmarks._registration_problems import BRIGHT, ImagePair, Known

COARSE = 4.0
TURNS = ((0, 0, 120), (0, 0, 180), (40, -50, 110))
HEIGHTS = (62, 81, 100)
PIXELS = (1164, 787)
CELLS_PX = 9.0
DEFORMED_PX = 12.0
NOISE_SHARE = 0.01


def turned_problems(whole: Image) -> Iterator[ImagePair]:
    """By 120 degrees and more about the middle, and shifted by a few mm; 4 mm."""
    for case, degrees in enumerate(TURNS):
        matrix = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        true = Linear.of(matrix, [4.0, -6.0, 3.0], whole.geometry.centre_mm)
        yield known(coarser(whole, COARSE), true, generator(case, "turned benchmark"))


def sounded_problems(whole: Image) -> Iterator[ImagePair]:
    """T1 and what echoes of the same slice would look like, turned by up to 20 degrees; 2 mm."""
    geometry = Geometry.of(whole.geometry.shape[:2], whole.geometry.spacing_mm[:2], whole.geometry.origin_mm[:2])
    for height in HEIGHTS:
        rng = generator(height, "ultrasound benchmark")
        image = coarser(Image(np.ascontiguousarray(whole.values[:, :, height]), geometry), 2.0)
        true = Linear.of(_flat_turn(rng.uniform(-20, 20)), rng.uniform(-8, 8, 2), geometry.centre_mm)
        plain = known(image, true, rng)
        heard = Image(like_ultrasound(plain.fixed.values.astype(float), rng).astype(np.float32), image.geometry)
        yield ImagePair(heard, plain.moving, plain.judge)


def large_problem(folder: Path) -> ImagePair:
    """A slice of a head of 1164 x 787 pixels, turned by 17 degrees."""
    picture = np.asarray(Picture.open(folder / "r16slice.jpg").convert("L"), np.float64).T
    values = zoom(picture, np.array(PIXELS) / picture.shape, order=1)
    image = Image(values.astype(np.float32), Geometry.of(PIXELS, 0.25))
    return known(image, Linear.of(_flat_turn(17.0), [9.0, -6.0], image.geometry.centre_mm), generator(0, "large"))


def textured_problem() -> ImagePair:
    """Tissue of repeated cells with a few unlike regions, bent by 12 pixels at most after an affine transform."""
    rng = generator(0, "texture benchmark")
    shape = (320, 240)
    rows, columns = np.indices(shape) * (2 * np.pi / CELLS_PX)
    regions = gaussian_filter(rng.normal(size=shape), 12.0)
    values = (1 + np.cos(rows)) * (1 + np.cos(columns)) * 25 + 120 * (regions > 0.4 * regions.std()) + 20
    image = Image(gaussian_filter(values, 0.7).astype(np.float32), Geometry.of(shape))
    bent = np.stack([gaussian_filter(rng.normal(size=shape), 28.0) for _ in shape])
    bent *= DEFORMED_PX / np.linalg.norm(bent, axis=0).max()
    turned = Linear.of(_flat_turn(8.0) * 1.03, [5.0, 4.0], image.geometry.centre_mm)
    return known(image, Composition(DisplacementField(torch.from_numpy(bent), image.geometry), turned), rng)


def known(moving: Image, true: Transform, rng: np.random.Generator) -> ImagePair:
    """The fixed image is what the moving one looks like through the truth; both with a little noise."""
    fixed = resample(moving, moving.geometry, true)
    sigma = NOISE_SHARE * float(np.ptp(moving.values))
    noisy = [
        Image(image.values + rng.normal(0, sigma, image.values.shape).astype(np.float32), image.geometry)
        for image in (fixed, moving)
    ]
    places = np.argwhere(fixed.values > BRIGHT)
    points = fixed.geometry.voxel_to_world(places[:: max(1, len(places) // 3000)])
    return ImagePair(noisy[0], noisy[1], Known(true, points, fixed.geometry.spacing_mm[0]))


def _flat_turn(degrees: float) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_euler("z", degrees, degrees=True).as_matrix()[:2, :2])
