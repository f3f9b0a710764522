"""Brain slices of known causes: age widens the ventricles, sex sizes the head, each hospital has its scanner.

Heads and scanners are those of source 'phantom'. A person's anatomy, tissues and noise stay the same whatever the
causes are, so that the true image under every action is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from client.source import Source
from client.sources._known_causes import Person, Values, cases_of, sigmoid
from client.sources._phantom_acquisition import Scan
from client.sources._phantom_anatomy import Anatomy, draw_anatomy
from client.sources._phantom_atlas import WHITE
from client.sources._phantom_scanners import Scanner, scanner_of, site_names
from client.sources._phantom_signal import varied
from client.sources._ventricles import SLICE_MM, head_with, ventricle_share
from client.sources.phantom import FIELD_OF_VIEW_MM, TISSUE_SPREAD, tissues
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.seeding import generator
from common.study.checks import between, positive
from common.study.spelling import unknown

CAUSES = ("sex", "age", "ventricles", "scanner")
DIAGNOSES = ("well", "ill")
SIZE_OF_SEX = (0.97, 1.03)
"""Lengths of a woman's and a man's head over those of the mean one."""
BRIGHTEST = 1.7
"""Signal over that of white matter that is shown white."""
ILL_FROM = 5.7
"""Percent of ventricles in the slice at which half of all are ill."""


@dataclass(frozen=True)
class PhantomCauses:
    """sex (0 or 1), age in years, ventricles in percent of the head's inside that they fill in the slice, measured on
    the true tissues; scanner, the number of the hospital whose T1-weighted machine it is.

    Age and sex cause the ventricles; sex, ventricles and scanner cause the image. hospitals: how many. patients: of
    each in turn. size: pixels a side, over 220 mm. older: how many years older than those of the first the persons
    of the last hospital are, so that scanner and age go together there. target: the "causes", or the "diagnosis",
    which the ventricles cause and the scanner does not: what a classifier is to learn.
    """

    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()
    persons: ClassVar[str] = "A person is one synthetic head."

    hospitals: int = 3
    patients: tuple[int, ...] = (60,)
    size: int = 32
    older: float = 12.0
    target: Literal["causes", "diagnosis"] = "causes"

    def __post_init__(self) -> None:
        positive("source", hospitals=self.hospitals)
        between("source", 1, 100, hospitals=self.hospitals)
        between("source", 16, 128, size=self.size)
        between("source", -30, 30, older=self.older)
        for index, count in enumerate(self.patients):
            between("source", 1, 100_000, **{f"patients[{index}]": count})

    def sites(self) -> tuple[SiteId, ...]:
        """Names of the hospitals, sorted."""
        return site_names(self.hospitals)

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All heads of one hospital. Raises UnknownNameError for another name and SourceError without the map."""
        sites = self.sites()
        if site not in sites:
            raise unknown("hospital", str(site), sites)
        place = sites.index(site)
        names = [f"{site}-{number:04d}" for number in range(self.patients[place % len(self.patients)])]
        people = [self._person(name, place, seed) for name in names]
        cases = cases_of(people, CAUSES)
        if self.target == "causes":
            return cases
        ill = np.array([self._is_ill(one, seed) for one in people], np.int64)
        return Cases.of(cases.inputs, ill, names, DIAGNOSES)

    def _person(self, name: str, place: int, seed: int) -> Person:
        rng = generator(seed, "phantom causes", name)
        head = draw_anatomy(generator(seed, "phantom causes", name, "anatomy"))
        sex, noise = int(rng.integers(2)), rng.normal()
        age = self._age(place, rng)
        elsewhere = (place + int(rng.integers(1, max(self.hospitals, 2)))) % self.hospitals
        other_age = 60 + 12 * rng.normal()
        other_share = share_of(60 + 20 * rng.normal(), sex, rng.normal())
        share = share_of(age, sex, noise)
        asked = [
            (sex, age, share, place),
            (1 - sex, age, share_of(age, 1 - sex, noise), place),
            (sex, other_age, share_of(other_age, sex, noise), place),
            (sex, age, other_share, place),
            (sex, age, share, elsewhere),
        ]
        (values, image), *rest = [self._scanned(head, name, seed, *one) for one in asked]
        return Person(name, image, values, [one for one, _ in rest], [one for _, one in rest])

    def _age(self, place: int, rng: np.random.Generator) -> float:
        later = self.older * (place / (self.hospitals - 1) - 0.5) if self.hospitals > 1 else 0.0
        return float(60 + later + 10 * rng.normal())

    def _scanned(
        self, head: Anatomy, name: str, seed: int, sex: int, age: float, share: float, place: int
    ) -> tuple[list[float], Values]:
        """Causes, the ventricles as they are measured, and the slice. The scan's draws are one person's own."""
        sized = replace(head, matrix=head.matrix / SIZE_OF_SEX[sex])
        machine = self._scanner(place, seed)
        slab = head_with(sized, share)
        rng = generator(seed, "phantom causes", name, "scan")
        scan = Scan.begin(machine, varied(rng, TISSUE_SPREAD), rng)
        tissue = tissues(slab, SLICE_MM, machine.slice_mm, self.size)
        image = scan.image(tissue, FIELD_OF_VIEW_MM, self.size, rng) / (BRIGHTEST * float(scan.signals[WHITE]))
        return [float(sex), age, ventricle_share(slab), float(place)], np.clip(image, 0, 1).astype(np.float32)

    def _scanner(self, place: int, seed: int) -> Scanner:
        site = self.sites()[place]
        return scanner_of(site, generator(seed, "phantom", site, "scanner"), "t1")

    @staticmethod
    def _is_ill(person: Person, seed: int) -> bool:
        share = person.values[CAUSES.index("ventricles")]
        drawn = generator(seed, "phantom causes", person.name, "diagnosis").uniform()
        return bool(drawn < sigmoid(4 * (share - ILL_FROM)))


def share_of(age: float, sex: int, noise: float) -> float:
    """Percent of ventricles: more with age, somewhat more in men; nearly every head can have 4.7 to 6.9."""
    return 4.7 + 2.2 * sigmoid(0.06 * (age - 60) + 0.3 * (sex - 0.5) + 0.4 * noise)


source: type[Source] = PhantomCauses
