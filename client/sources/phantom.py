"""Built-in: brain MR slices of several hospitals' scanners, synthesised from a real atlas, with exact masks.

A generator in the manner of SynthSeg (Billot et al. 2023, doi 10.1016/j.media.2023.102789), but with the signal
equations of the scanners in place of random contrast: `_phantom_scanners` has the table. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._phantom_acquisition import Scan
from client.sources._phantom_anatomy import Anatomy, draw_anatomy, draw_lesions
from client.sources._phantom_atlas import CSF, DEEP_GREY, GREY, LESION, WHITE, Labels, atlas
from client.sources._phantom_scanners import PATIENTS, Scanner, check_patients, scanner_of, site_names
from client.sources._phantom_signal import varied
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.seeding import generator
from common.study.checks import between, positive
from common.study.spelling import unknown

FIELD_OF_VIEW_MM = 220.0
LOWEST_SLICE_MM, HIGHEST_SLICE_MM = -12.0, 16.0
"""Places of the first and last slice along the scanner's axis, whose centre is level with the thalamus."""
SAMPLES_A_PIXEL = 3
DEPTH_SAMPLE_MM = 1.25
TISSUE_SPREAD = 0.03
"""How far PD, T1 and T2 differ from patient to patient, as a share."""

CLASSES = ("background", "csf", "grey matter", "white matter", "deep grey matter")
_CLASS_OF_TISSUE = {CSF: 1, GREY: 2, WHITE: 3, DEEP_GREY: 4}


@dataclass(frozen=True)
class Phantom:
    """Axial slices through the basal ganglia and the ventricles, one scanner a hospital.

    hospitals: the first five have the scanners of the table, further ones draw theirs from the seed. patients: of
    each hospital in turn, from the start again where there are more hospitals. slices_per_patient: evenly spaced.
    size: pixels a side, over 220 mm. lesions: mean number of white-matter lesions in a patient's head; above 0
    they are a class of their own. protocol: "mixed", T1, T2, PD and FLAIR side by side, the hardest case, or "t1",
    where all agreed on T1 weighting on unlike machines. normalise: to mean 0 and deviation 1 over each "patient"
    or each "slice". noiseless: without the machine's noise and the patient's motion, as what source 'acquired'
    measures: the truth of a reconstruction is then known.
    """

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "A person is one synthetic head."

    hospitals: int = 5
    patients: tuple[int, ...] = PATIENTS
    slices_per_patient: int = 4
    size: int = 64
    protocol: Literal["mixed", "t1"] = "mixed"
    lesions: float = 0.0
    normalise: Literal["patient", "slice"] = "patient"
    noiseless: bool = False

    def __post_init__(self) -> None:
        positive("source", hospitals=self.hospitals, slices_per_patient=self.slices_per_patient)
        between("source", 16, 256, size=self.size)
        between("source", 0, 100, lesions=self.lesions)
        check_patients(self.patients, self.hospitals)

    def sites(self) -> tuple[SiteId, ...]:
        """Names of the hospitals, sorted."""
        return site_names(self.hospitals)

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All slices of one hospital. Raises UnknownNameError for another name and SourceError without its map."""
        sites = self.sites()
        if site not in sites:
            raise unknown("hospital", str(site), sites)
        scanner = scanner_of(site, generator(seed, "phantom", site, "scanner"), self.protocol)
        scanner = replace(scanner, noise=0.0, motion_mm=0.0) if self.noiseless else scanner
        names = [f"{site}-{index:04d}" for index in range(self.patients[sites.index(site) % len(self.patients)])]
        parts = [self._patient(scanner, seed, name) for name in names]
        return Cases.of(
            inputs=np.concatenate([inputs for inputs, _ in parts])[:, None],
            targets=np.concatenate([targets for _, targets in parts]),
            patients=np.repeat(np.array(names), self.slices_per_patient),
            classes=CLASSES + (("lesion",) if self.lesions else ()),
            spacing_mm=(FIELD_OF_VIEW_MM / self.size,) * 2,
        )

    def _patient(self, scanner: Scanner, seed: int, name: str) -> tuple[NDArray[np.float32], Labels]:
        """(S, size, size) normalised slices and class indices of one patient."""
        anatomy = self._anatomy(generator(seed, "phantom", name, "anatomy"))
        rng = generator(seed, "phantom", name, "scan")
        scan = Scan.begin(scanner, varied(rng, TISSUE_SPREAD), rng)
        images, targets = [], []
        for place_mm in np.linspace(LOWEST_SLICE_MM, HIGHEST_SLICE_MM, self.slices_per_patient + 2)[1:-1]:
            tissue = tissues(anatomy, float(place_mm), scanner.slice_mm, self.size)
            images.append(scan.image(tissue, FIELD_OF_VIEW_MM, self.size, rng))
            targets.append(majority(class_of_tissue()[tissue], self.size))
        return normalised(np.stack(images), self.normalise), np.stack(targets)

    def _anatomy(self, rng: np.random.Generator) -> Anatomy:
        anatomy = draw_anatomy(rng)
        if not self.lesions:
            return anatomy
        return replace(anatomy, lesions=draw_lesions(atlas(), rng, self.lesions))


def class_of_tissue() -> Labels:
    """(tissues,) class index of each; skull, scalp and air are background."""
    table = np.zeros(LESION + 1, np.uint8)
    for tissue, index in _CLASS_OF_TISSUE.items():
        table[tissue] = index
    table[LESION] = len(CLASSES)
    return table


def tissues(anatomy: Anatomy, place_mm: float, slice_mm: float, size: int) -> Labels:
    """(depths, fine, fine) tissues of a slice, SAMPLES_A_PIXEL to a pixel's side, front of the head in row 0."""
    fine = size * SAMPLES_A_PIXEL
    across_mm = (((np.arange(fine) + 0.5) / fine - 0.5) * FIELD_OF_VIEW_MM).astype(np.float32)
    depths = max(round(slice_mm / DEPTH_SAMPLE_MM), 1)
    depths_mm = (((np.arange(depths) + 0.5) / depths - 0.5) * slice_mm).astype(np.float32)
    return anatomy.slab(atlas(), across_mm, -across_mm, place_mm, depths_mm)


def majority(labels: Labels, size: int) -> Labels:
    """(size, size): the class that fills most of each pixel of (depths, fine, fine) labels; a tie takes the lower."""
    part = labels.shape[1] // size
    hits = [(labels == index).sum(axis=0, dtype=np.int16) for index in range(int(labels.max()) + 1)]
    counts = [hit.reshape(size, part, size, part).sum(axis=(1, 3)) for hit in hits]
    return np.asarray(np.argmax(counts, axis=0), np.uint8)


def normalised(images: NDArray[np.float32], over: Literal["patient", "slice"]) -> NDArray[np.float32]:
    """(S, H, W) images of mean 0 and standard deviation 1 over all slices, or over each."""
    axes = (0, 1, 2) if over == "patient" else (1, 2)
    centred = images - images.mean(axis=axes, keepdims=True)
    return np.asarray(centred / centred.std(axis=axes, keepdims=True), np.float32)


source: type[Source] = Phantom
