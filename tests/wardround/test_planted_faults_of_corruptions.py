"""Every law that corruptions inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import CorruptionTests

Image = NDArray[np.float32]
Span = tuple[float, float]


@dataclass(frozen=True)
class Sound:
    """A shift by a drawn part of the span, and labels that stay, as anatomy does."""

    source: ClassVar[str] = "none"
    modalities: ClassVar[tuple[str, ...]] = ("ct",)
    most: float = 0.5

    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        shift = severity * self.most * (1 + rng.random()) * (span[1] - span[0])
        return (image + shift).astype(np.float32) if severity else image

    def moved(self, labels: NDArray[np.int64], severity: float, rng: np.random.Generator) -> NDArray[np.int64]:
        return labels


class ChangesAtOnce(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity + 0.01, span, rng)


class Cropped(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity, span, rng)[..., 1:]


class Doubles(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity, span, rng).astype(np.float64)


class Falling(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity * (1.3 - severity), span, rng)


class Idle(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        rng.random()
        return image


class GlobalDraw(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return (image + severity * np.random.random()).astype(np.float32)


class DrawsBySeverity(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity, span, rng) if severity else image


class OneScale(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        return super().corrupt(image, severity, (0.0, 1.0), rng)


class InPlace(Sound):
    def corrupt(self, image: Image, severity: float, span: Span, rng: np.random.Generator) -> Image:
        image += super().corrupt(image, severity, span, rng) - image
        return image.copy()


class LabelsElsewhere(Sound):
    def moved(self, labels: NDArray[np.int64], severity: float, rng: np.random.Generator) -> NDArray[np.int64]:
        return np.roll(labels, 4, axis=0)


CORRUPTIONS = {
    FROZEN: (thawed(Sound),),
    "at_severity_0_an_image_is_itself": (ChangesAtOnce,),
    "what_comes_is_an_image_of_the_same_form": (Cropped, Doubles),
    "a_higher_severity_changes_more": (Falling, Idle),
    "what_is_drawn_follows_from_its_generator_alone": (GlobalDraw, DrawsBySeverity),
    "it_follows_the_scale_of_the_data": (OneScale,),
    "it_leaves_the_image_that_it_was_given": (InPlace,),
    "where_anatomy_moves_the_truth_moves_with_it": (LabelsElsewhere,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(CORRUPTIONS))
def test_a_faulty_corruption_is_caught(law: str, fault: type) -> None:
    broken(CorruptionTests, law, (fault(), ((1, 9, 9),)))


def test_a_corruption_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(CorruptionTests) == CORRUPTIONS.keys()

    for law in CORRUPTIONS:
        if law != "where_anatomy_moves_the_truth_moves_with_it":
            getattr(CorruptionTests(), f"test_{law}")(
                (Sound(), ((1, 9, 9),))
            )  # it shifts greys, which labels are not
