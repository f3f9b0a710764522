"""Every law that operators inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from tests.wardround.planted import FROZEN, broken, laws, pairs, thawed
from wardround.testing import OperatorTests
from wardround.testing.operators import fitting_shape

SHAPE = (1, 3, 3)


class Weighted:
    """Each pixel times its weight."""

    def __init__(self, shape: tuple[int, ...], weights: Tensor) -> None:
        self.image_shape, self.weights = shape, weights
        self.measured_shape = shape

    def forward(self, images: Tensor) -> Tensor:
        return images * self.weights.to(images)[:, None]

    def adjoint(self, measured: Tensor) -> Tensor:
        return measured * self.weights.to(measured)[:, None]

    def norm(self) -> Tensor:
        return self.weights.double().abs().flatten(1).amax(1)

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        return measured / self.weights.to(measured)[:, None]

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        return images / (self.weights.to(images)[:, None].square() + weight.to(images).reshape(-1, 1, 1, 1))

    def singular_values(self) -> Tensor:
        return self.weights.double().abs().flatten(1).sort(dim=1, descending=True).values


@dataclass(frozen=True)
class Sound:
    """most: of a weight."""

    complex_images: ClassVar[bool] = False
    maps: ClassVar[type] = Weighted

    most: float = 2.0

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        if len(shape) != 3:
            raise StudyError("images are planes")
        return {"weights": shape[1:]}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, Any]:
        return {"weights": (1 + self.most * rng.random(shape[1:])).astype(np.float32)}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> Any:
        return self.maps(shape, parameters["weights"])


def having(**methods: Any) -> type:
    """An operator whose map has other methods."""
    return type("_".join(methods), (Sound,), {"maps": type("Faulty", (Weighted,), methods)})


def drawing(draw: Any) -> type:
    """An operator that draws otherwise."""
    return type("Drawing", (Sound,), {"draw": draw})


def detached(self: Weighted, images: Tensor) -> Tensor:
    return Weighted.forward(self, images).detach()


def single(self: Weighted, images: Tensor) -> Tensor:
    return Weighted.forward(self, images).float()


def in_place(self: Weighted, images: Tensor) -> Tensor:
    return images.mul_(self.weights.to(images)[:, None])


def of_the_batch(self: Weighted, images: Tensor) -> Tensor:
    return images * self.weights.to(images).mean(0)


def of_the_batch_norm(self: Weighted) -> Tensor:
    return self.weights.double().amax().expand(len(self.weights))


def values_shape(self: Sound, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> Weighted:
    made = Weighted(shape, parameters["weights"])
    made.measured_shape = (1, 3, 3) if parameters["weights"].any() else (1, 3, 4)
    return made


FAULTS: dict[str, tuple[type, ...]] = {
    FROZEN: (thawed(Sound),),
    "parameters_follow_from_their_generator_alone_and_are_of_the_shapes_it_says": (
        drawing(lambda self, rng, shape: {"weights": np.random.random(shape[1:]).astype(np.float32)}),
        drawing(lambda self, rng, shape: {"weights": rng.random(shape[1:])}),
        drawing(lambda self, rng, shape: {"weights": np.ones(3, np.float32)}),
        drawing(lambda self, rng, shape: {"others": np.ones((3, 3), np.float32)}),
    ),
    "it_is_linear": (
        having(forward=lambda self, images: Weighted.forward(self, images) + 1),
        having(forward=lambda self, images: images.clamp(min=0)),
    ),
    "forward_and_adjoint_belong_together": (having(adjoint=Weighted.pseudo_inverse),),
    "shapes_and_precision_are_those_it_says": (
        having(forward=single),
        having(adjoint=lambda self, measured: measured[..., 1:]),
    ),
    "the_norm_is_the_largest_singular_value": (
        having(norm=lambda self: self.weights.double().flatten(1).mean(1)),
        having(norm=lambda self: self.weights.flatten(1).amax(1)),
    ),
    "gradients_by_the_image_are_the_adjoint": (having(forward=detached),),
    "a_case_is_measured_by_its_own_parameters_alone": (
        having(forward=of_the_batch),
        having(norm=of_the_batch_norm),
    ),
    "closed_forms_equal_a_dense_solve": (
        having(pseudo_inverse=Weighted.adjoint),
        having(solve_shifted=lambda self, images, weight: images / (1 + weight)),
        having(singular_values=lambda self: self.weights.double().flatten(1)),
    ),
    "data_and_parameters_come_back_from_planes_as_they_went": (type("OfValues", (Sound,), {"map": values_shape}),),
    "it_changes_neither_images_nor_data_nor_parameters": (having(forward=in_place), having(adjoint=in_place)),
    "images_that_it_does_not_take_are_refused_in_words": (
        type("Unchecked", (Sound,), {"parameter_shapes": lambda self, shape: {"weights": (shape[1], shape[2])}}),
    ),
}


@pytest.mark.parametrize(("law", "fault"), pairs(FAULTS))
def test_a_faulty_operator_is_caught(law: str, fault: type) -> None:
    broken(OperatorTests, law, (fault(), SHAPE))


def test_an_operator_without_fault_passes_and_no_law_is_without_a_planted_fault() -> None:
    assert laws(OperatorTests) == FAULTS.keys()
    for law in FAULTS:
        getattr(OperatorTests(), f"test_{law}")((Sound(), SHAPE))


def test_one_that_takes_no_shape_is_told_why_each_was_refused() -> None:
    class Choosy(Sound):
        def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
            raise StudyError("never")

    with pytest.raises(AssertionError, match=r"none of these shapes(.|\n)*never"):
        fitting_shape(Choosy())
    assert fitting_shape(Sound()) == (1, 6, 6) and torch.is_tensor(
        Sound().map(SHAPE, {"weights": torch.ones(1)}).weights
    )
