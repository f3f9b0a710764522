"""What a page of `wardround withstand` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from common.study.catalogue import CORRUPTIONS
from common.study.options import Entry
from common.study.spelling import unknown

EVERYWHERE = ("blur", "contrast", "morphology", "noise")
"""Corruptions of any modality: what is asked where nobody says of which one the images are."""
OF_IMAGES, OF_TABLES = (2 / 255, 4 / 255, 8 / 255), (0.1, 0.25, 0.5)
"""Sizes where none are given: shares of the range of an image, and deviations of each column of a table."""
CHANCE, USUAL = "chance", ("fgsm", "pgd")
MODALITIES = ("ct", "mr", "xray", "microscopy", "photograph")


@dataclass(frozen=True)
class Asked:
    """corruptions: names or files; () for those of the modality. modality: of the images; "" for not known.

    perturbations: ways to mislead, names or files; () for one step and many by the model's slope.
    sizes: of changes made on purpose, in shares of an image's range or deviations of a table's columns; () for those
    that are usual. cases: of each hospital, at most.
    """

    corruptions: tuple[str, ...] = ()
    modality: str = ""
    sizes: tuple[float, ...] = ()
    cases: int = 200
    seed: int = 0
    perturbations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.modality and self.modality not in MODALITIES:
            raise unknown("modality", self.modality, MODALITIES)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The corruptions that are tried. Raises UnknownNameError with the nearest name."""
        if self.corruptions:
            return tuple(map(Entry, self.corruptions))
        if not self.modality:
            return tuple(map(Entry, EVERYWHERE))
        return tuple(
            Entry(name) for name in CORRUPTIONS.names() if self.modality in CORRUPTIONS.load(name).modalities
        )

    @property
    def ways(self) -> tuple[Entry, ...]:
        """To mislead, chance first: it is what the others are compared with."""
        return tuple(map(Entry, dict.fromkeys((CHANCE, *(self.perturbations or USUAL)))))

    def sizes_of(self, *, is_table: bool) -> tuple[float, ...]:
        """Rising, without 0."""
        return self.sizes or (OF_TABLES if is_table else OF_IMAGES)
