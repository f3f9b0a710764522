"""Built-in: pairs of brain slices whose true displacement is known, one scanner a hospital; nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from client.source import Source
from client.sources._phantom_acquisition import Scan
from client.sources._phantom_anatomy import draw_anatomy
from client.sources._phantom_atlas import Labels
from client.sources._phantom_scanners import PATIENTS, Scanner, check_patients, scanner_of, site_names
from client.sources._phantom_signal import varied
from client.sources.phantom import (
    CLASSES,
    FIELD_OF_VIEW_MM,
    HIGHEST_SLICE_MM,
    LOWEST_SLICE_MM,
    SAMPLES_A_PIXEL,
    TISSUE_SPREAD,
    class_of_tissue,
    majority,
    normalised,
    tissues,
)
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.seeding import generator
from common.study.checks import between, positive
from common.study.spelling import unknown

LARGEST_SHARE = 0.25
"""Of the field's smoothness that it may move by: below it, space folds nowhere but in freak draws."""


@dataclass(frozen=True)
class PhantomPairs:
    """A slice of a synthetic head, and the same slice after a random smooth deformation within its plane.

    hospitals, patients: as in source "phantom", each scanning T1. size: pixels a side, over 220 mm.
    deformation_mm: root mean square of each component of the displacement. smoothness_mm: standard deviation of
    the Gaussian that white noise was smoothed with. Both images of a pair come from one scanner, with noise of
    their own.
    """

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "A person is one synthetic head, with a pair of slices."

    hospitals: int = 5
    patients: tuple[int, ...] = PATIENTS
    size: int = 48
    deformation_mm: float = 5.0
    smoothness_mm: float = 24.0

    def __post_init__(self) -> None:
        positive("source", hospitals=self.hospitals, smoothness_mm=self.smoothness_mm)
        between("source", 16, 256, size=self.size)
        between("source", 0, LARGEST_SHARE * self.smoothness_mm, deformation_mm=self.deformation_mm)
        check_patients(self.patients, self.hospitals)

    def sites(self) -> tuple[SiteId, ...]:
        """Names of the hospitals, sorted."""
        return site_names(self.hospitals)

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """One pair a patient. inputs, targets: (N, 2, size, size), moving and fixed; displacement: in pixels.

        Raises UnknownNameError for another name and SourceError without the head's map.
        """
        sites = self.sites()
        if site not in sites:
            raise unknown("hospital", str(site), sites)
        scanner = scanner_of(site, generator(seed, "phantom", site, "scanner"), "t1")
        names = [f"{site}-{index:04d}" for index in range(self.patients[sites.index(site) % len(self.patients)])]
        pairs = [self._pair(scanner, seed, name) for name in names]
        return Cases.of(
            inputs=np.stack([inputs for inputs, _, _ in pairs]),
            targets=np.stack([targets for _, targets, _ in pairs]),
            patients=np.array(names),
            classes=CLASSES,
            spacing_mm=(FIELD_OF_VIEW_MM / self.size,) * 2,
            displacement=np.stack([field for _, _, field in pairs]),
        )

    def _pair(
        self, scanner: Scanner, seed: int, name: str
    ) -> tuple[NDArray[np.float32], Labels, NDArray[np.float32]]:
        """(2, size, size) images and labels, and (2, size, size) displacement in pixels, of one patient."""
        anatomy = draw_anatomy(generator(seed, "phantom", name, "anatomy"))
        rng = generator(seed, "phantom", name, "pair")
        place_mm = float(rng.uniform(LOWEST_SLICE_MM, HIGHEST_SLICE_MM))
        moving = tissues(anatomy, place_mm, scanner.slice_mm, self.size)
        field_mm = smooth_field(self.size * SAMPLES_A_PIXEL, self.deformation_mm, self.smoothness_mm, rng)
        slabs = (moving, displaced(moving, field_mm * (self.size * SAMPLES_A_PIXEL / FIELD_OF_VIEW_MM)))
        scan = Scan.begin(scanner, varied(rng, TISSUE_SPREAD), rng)
        images = np.stack([scan.image(slab, FIELD_OF_VIEW_MM, self.size, rng) for slab in slabs])
        targets = np.stack([majority(class_of_tissue()[slab], self.size) for slab in slabs])
        return normalised(images, "slice"), targets, _coarse(field_mm, self.size)


def smooth_field(
    size: int, deviation_mm: float, smoothness_mm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, size, size) mm, rows and columns: white noise smoothed by a Gaussian, scaled to a root mean square."""
    width = smoothness_mm * size / FIELD_OF_VIEW_MM
    field = np.stack([gaussian_filter(rng.standard_normal((size, size)), width, mode="wrap") for _ in range(2)])
    return np.asarray(deviation_mm * field / np.sqrt(np.square(field).mean(axis=(1, 2), keepdims=True)))


def displaced(slab: Labels, field: NDArray[np.float64]) -> Labels:
    """(D, Y, X) labels read at the pixel nearest to i + u(i); field: (2, Y, X) in pixels. Edges go on."""
    places = np.rint(np.indices(field.shape[1:]) + field).astype(np.intp)
    rows, columns = (np.clip(place, 0, size - 1) for place, size in zip(places, field.shape[1:], strict=True))
    return np.asarray(slab[:, rows, columns])


def _coarse(field_mm: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """(2, size, size) in pixels: means over each pixel."""
    part = field_mm.shape[1] // size
    means = field_mm.reshape(2, size, part, size, part).mean(axis=(2, 4))
    return np.asarray(means * (size / FIELD_OF_VIEW_MM), np.float32)


source: type[Source] = PhantomPairs
