"""Digits whose thickness and grey level are causes of the image, in the manner of Morpho-MNIST, by hospital.

The model is Pawlowski et al. 2020's (section 4.1): thickness t = .5 + Gamma(10, 5), intensity i = 191 sigmoid(.5 e +
2 t - 5) + 64 with standard normal e, and an image in which both are measured (`common.metrics.strokes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from client.source import Source
from client.sources._drawn_digits import DIGITS, drawn
from client.sources._folders import existing
from client.sources._known_causes import Person, Values, cases_of, sigmoid
from client.sources._scanners_of_digits import seen_by
from client.sources._strokes import SIDE, Distances, of_image, rendered
from client.sources.mnist import REMEDY, read_idx
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError
from common.metrics.strokes import stroke_intensity, stroke_thickness
from common.seeding import generator
from common.study.checks import between, listed, positive
from common.study.spelling import unknown

CAUSES = ("thickness", "intensity", "scanner")
MOST_PERSONS = 70_000


@dataclass(frozen=True)
class Morpho:
    """digits: "drawn" by the program, which needs no data, or of "mnist". folder: with the four files of MNIST.

    hospitals: how many. patients: of each, one digit a person; of MNIST no two hospitals have the same. unlike: how
    far hospitals differ: the writers of the first are thinner by so large a share, those of the last thicker. The
    mechanisms are everywhere the same. scanners: a third cause, the scanner, numbered from 0 as hospitals are: each
    shows the digit with a blur and a haze of its own.
    """

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "A person is one digit."

    digits: Literal["drawn", "mnist"] = "drawn"
    folder: str = ""
    hospitals: int = 5
    patients: tuple[int, ...] = (200,)
    unlike: float = 0.2
    scanners: bool = False

    def __post_init__(self) -> None:
        positive("source", hospitals=self.hospitals)
        between("source", 1, 100, hospitals=self.hospitals)
        between("source", 0, 0.9, unlike=self.unlike)
        listed("source", 1, self.hospitals, patients=tuple(enumerate(self.patients)))
        for index, count in enumerate(self.patients):
            between("source", 1, MOST_PERSONS, **{f"patients[{index}]": count})

    def sites(self) -> tuple[SiteId, ...]:
        """Numbered from 1."""
        width = len(str(self.hospitals))
        return tuple(f"hospital-{number:0{width}}" for number in range(1, self.hospitals + 1))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All digits of one hospital. Raises UnknownNameError for another name, SourceError without MNIST's files."""
        sites = self.sites()
        if site not in sites:
            raise unknown("hospital", str(site), sites)
        place = sites.index(site)
        count = self.patients[place % len(self.patients)]
        names = [f"{site}-{number:05d}" for number in range(count)]
        lines = self._written(place, count) if self.digits == "mnist" else [None] * count
        people = [self._person(name, line, place, seed) for name, line in zip(names, lines, strict=True)]
        return cases_of(people, CAUSES[: 3 if self.scanners else 2])

    def _written(self, place: int, count: int) -> list[Distances | None]:
        """Hospitals take digits in turn, so that one that has more or fewer moves no other's."""
        folder = existing(self.folder, "mnist", REMEDY)
        images = read_idx(folder, "train-images-idx3-ubyte", 3)
        last = place + (count - 1) * self.hospitals
        if images.shape[1:] != (SIDE, SIDE) or last >= len(images):
            raise SourceError(f"{folder} holds images of shape {images.shape}; {last + 1} of 28 x 28 are needed.")
        return [of_image(images[place + number * self.hospitals] / 255) for number in range(count)]

    def _person(self, name: str, line: Distances | None, place: int, seed: int) -> Person:
        rng = generator(seed, "morpho", name)
        if line is None:
            line = drawn(int(rng.integers(len(DIGITS))), rng)
        grain = rng.normal(size=(SIDE, SIDE))
        thickness, noise = draw_thickness(rng) * self._factor(place), rng.normal()
        other, another = draw_thickness(rng), draw_thickness(rng)
        other_intensity = intensity_of(another, rng.normal())
        scanner = place if self.scanners else None
        elsewhere = (
            None if scanner is None else (place + int(rng.integers(1, max(self.hospitals, 2)))) % self.hospitals
        )
        made = [
            self._image(line, grain, thickness, intensity_of(thickness, noise), scanner),
            self._image(line, grain, other, intensity_of(other, noise), scanner),
            self._image(line, grain, thickness, other_intensity, scanner),
        ]
        if scanner is not None:
            made.append(self._image(line, grain, thickness, intensity_of(thickness, noise), elsewhere))
        (values, image), *rest = made
        return Person(name, image, values, [one for one, _ in rest], [one for _, one in rest])

    def _factor(self, place: int) -> float:
        """Of a hospital's writers, who are on average as thick as all."""
        return 1 + self.unlike * (2 * place / (self.hospitals - 1) - 1) if self.hospitals > 1 else 1.0

    @staticmethod
    def _image(
        line: Distances, grain: np.ndarray, thickness: float, intensity: float, scanner: int | None
    ) -> tuple[list[float], Values]:
        """Causes as they are measured in the digit, and the image that a scanner shows of it."""
        digit = rendered(line, thickness, intensity)
        values = [stroke_thickness(digit), stroke_intensity(digit)]
        if scanner is None:
            return values, digit
        return [*values, float(scanner)], seen_by(scanner, digit, grain)


def draw_thickness(rng: np.random.Generator) -> float:
    """In pixels."""
    return 0.5 + float(rng.gamma(10, 1 / 5))


def intensity_of(thickness: float, noise: float) -> float:
    """In grey levels of 0 to 255."""
    return 191 * sigmoid(0.5 * noise + 2 * thickness - 5) + 64


source: type[Source] = Morpho
