"""Chest radiographs with simulated causes: the patient's size, which asks for a longer exposure, and that exposure.

The images are of MedMNIST (PneumoniaMNIST, or any grey set of its layout); a person's own picture is what stays the
same, and what size and exposure make of it is known, and with it every true counterfactual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.source import Source
from client.sources._known_causes import Person, Values, cases_of
from client.sources.medmnist import MedMnist
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError
from common.seeding import generator
from common.study.checks import between, positive
from common.study.spelling import unknown

CAUSES = ("size", "exposure")
DARKEST, BRIGHTEST = 40.0, 215.0


@dataclass(frozen=True)
class ChestCauses:
    """size: how large the patient is shown, 1 is as published. exposure: the mean grey level, 0 to 255, measured.

    folder, file: as of source 'medmnist'. hospitals: how many. patients: of each in turn, no two hospitals the same.
    unlike: how much darker the first hospital exposes than the last, in grey levels. target: the "causes", or the
    published "label".
    """

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "The file does not say whose an image is: each is taken for a person of its own."

    folder: str = ""
    file: str = ""
    hospitals: int = 4
    patients: tuple[int, ...] = (200,)
    unlike: float = 30.0
    target: Literal["causes", "label"] = "causes"

    def __post_init__(self) -> None:
        positive("source", hospitals=self.hospitals)
        between("source", 1, 100, hospitals=self.hospitals)
        between("source", -100, 100, unlike=self.unlike)
        for index, count in enumerate(self.patients):
            between("source", 1, 100_000, **{f"patients[{index}]": count})

    def sites(self) -> tuple[SiteId, ...]:
        """Numbered from 1."""
        width = len(str(self.hospitals))
        return tuple(f"hospital-{number:0{width}}" for number in range(1, self.hospitals + 1))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All persons of one hospital. Raises UnknownNameError for another name, SourceError for too few images."""
        sites = self.sites()
        if site not in sites:
            raise unknown("hospital", str(site), sites)
        place = sites.index(site)
        indices = place + self.hospitals * np.arange(self.patients[place % len(self.patients)])
        published = MedMnist(self.folder, self.file, ("normal", "pneumonia") if self.target == "label" else ())
        every = published.cases(None, seed)
        if len(every.shape.inputs) != 3 or every.shape.inputs[0] != 1 or indices[-1] >= len(every):
            raise SourceError(
                f"source 'chest_causes' needs {indices[-1] + 1} grey images; there are {len(every)} of shape "
                f"{every.shape.inputs}."
            )
        chosen = every.take(indices)
        names = [str(name) for name in chosen.patients]
        people = [self._person(name, image[0], place, seed) for name, image in zip(names, chosen.inputs, strict=True)]
        found = cases_of(people, CAUSES)
        if self.target == "causes":
            return found
        return Cases.of(found.inputs, chosen.targets, names, every.classes)

    def _person(self, name: str, picture: Values, place: int, seed: int) -> Person:
        rng = generator(seed, "chest causes", name)
        share = place / (self.hospitals - 1) - 0.5 if self.hospitals > 1 else 0.0
        size, noise = _draw_size(rng), rng.normal() + self.unlike * share / 12
        other, another = _draw_size(rng), _draw_size(rng)
        asked = [
            (size, exposure_of(size, noise)),
            (other, exposure_of(other, noise)),
            (size, exposure_of(another, rng.normal())),
        ]
        (values, image), *rest = [_exposed(picture, *one) for one in asked]
        return Person(name, image, values, [one for one, _ in rest], [one for _, one in rest])


def exposure_of(size: float, noise: float) -> float:
    """Grey levels: larger patients are exposed longer."""
    return float(np.clip(128 + 120 * (size - 1) + 12 * noise, DARKEST, BRIGHTEST))


def _draw_size(rng: np.random.Generator) -> float:
    return float(np.clip(1 + 0.1 * rng.normal(), 0.75, 1.3))


def _exposed(picture: NDArray[np.float32], size: float, exposure: float) -> tuple[list[float], Values]:
    """Magnified about the middle, and as bright on average as the exposure says."""
    middle = (np.array(picture.shape) - 1) / 2
    shown = ndimage.affine_transform(
        picture.astype(np.float64), np.eye(2) / size, middle - middle / size, order=1, mode="nearest"
    )
    shown = np.clip(shown, 1 / 255, 1)
    power, low, high = 1.0, 0.05, 20.0
    for _ in range(30):  # the mean falls as the power of a gamma curve grows
        power = float(np.sqrt(low * high))
        low, high = (power, high) if 255 * (shown**power).mean() > exposure else (low, power)
    image = np.asarray(shown**power, np.float32)
    return [size, 255 * float(image.mean(dtype=np.float64))], image


source: type[Source] = ChestCauses
