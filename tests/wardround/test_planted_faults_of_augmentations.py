"""Every law that augmentations inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import AugmentationTests
from wardround.testing.augmentations import fitting_shape


@dataclass(frozen=True)
class Sound:
    """Times a number."""

    most: float = 2.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.array([1 + self.most * rng.random()], np.float32)

    def apply(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        seen = self.seen(images, drawn.to(images).reshape(-1, *(1,) * (images.ndim - 1)))
        return seen if size == tuple(images.shape[2:]) else interpolate(seen, size)

    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images * factor


class GlobalDraw(Sound):
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.random.random(1).astype(np.float32)


class OtherLengths(Sound):
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.ones(rng.integers(1, 4), np.float32)


class OfTheBatch(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return (images - images.mean(0)) * factor


class NoiseAtOnce(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images + torch.randn_like(images) * factor


class OneSize(Sound):
    def apply(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        return images * drawn.to(images).reshape(-1, *(1,) * (images.ndim - 1))


class Single(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return (images * factor).float()


class Rounded(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return (images * factor).round()


class Detached(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images.detach() * factor


class Standardised(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images * factor / images.std((2, 3), keepdim=True)


class Squared(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images * images.square() * factor


class InPlace(Sound):
    def seen(self, images: Tensor, factor: Tensor) -> Tensor:
        return images.mul_(factor)


AUGMENTATIONS = {
    FROZEN: (thawed(Sound),),
    "what_is_drawn_follows_from_its_generator_alone": (GlobalDraw, OtherLengths),
    "a_case_is_shown_alone_as_it_is_among_others": (OfTheBatch,),
    "views_follow_from_what_was_drawn": (NoiseAtOnce,),
    "views_have_the_shape_that_is_asked_for_and_the_images_precision": (OneSize, Single),
    "views_can_be_differentiated_by_the_images": (Rounded, Detached),
    "flat_huge_and_faint_images_give_finite_views": (Standardised, Squared),
    "it_changes_neither_images_nor_draws": (InPlace,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(AUGMENTATIONS))
def test_a_faulty_augmentation_is_caught(law: str, fault: type) -> None:
    broken(AugmentationTests, law, (fault(), (1, 6, 6)))


def test_an_augmentation_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(AugmentationTests) == AUGMENTATIONS.keys()
    for law in AUGMENTATIONS:
        getattr(AugmentationTests(), f"test_{law}")((replace(Sound(), most=1.0), (1, 6, 6)))


def test_one_that_takes_no_shape_is_told_why_each_was_refused() -> None:
    @dataclass(frozen=True)
    class Broken(Sound):
        def seen(self, images: Tensor, factor: Tensor) -> Any:
            raise ValueError("never")

    with pytest.raises(AssertionError, match=r"none of these shapes(.|\n)*never"):
        fitting_shape(Broken())
