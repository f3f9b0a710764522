"""Deblurring: an image convolved with a point spread, of a Gaussian, of motion or of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction import own_point_spread, point_spread
from common.reconstruction.convolution import BoundedBlur, MirroredBlur, PeriodicBlur
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.point_spread import Transfer
from common.reconstruction.shapes import demand_image, demand_parameters
from common.study.checks import between

WHERE = "operator 'blur'"
LARGEST = 127


@dataclass(frozen=True)
class Blur:
    """y = h * x, an image of the same size.

    point_spread: `gaussian`, `motion` (a straight path in the plane of the last two axes) or `own`. sd_pixels: the
    Gaussian's standard deviation. length_pixels: of the motion's path. motion_degrees: the motion's direction, 0
    along the last axis; drawn for each case if not given. weights: an own point spread, a list for each of its rows.
    weights_file: a .npy file of one, of two or three axes. normalised: whether an own one is divided by its sum.
    point_spread_pixels: odd, sides of the point spread that travels with a case. boundary: what is seen of beyond an
    image: the other side (`periodic`), nothing (`zero`), or its mirror image (`reflect`, the outermost pixel twice).
    Closed forms exist of `periodic`, and of a Gaussian with `reflect`.
    """

    complex_images: ClassVar[bool] = False

    point_spread: Literal["gaussian", "motion", "own"] = "gaussian"
    sd_pixels: float = 1.5
    length_pixels: float = 7.0
    motion_degrees: float | None = None
    weights: tuple[tuple[float, ...], ...] = ()
    weights_file: str = ""
    normalised: bool = True
    point_spread_pixels: int = 11
    boundary: Literal["periodic", "zero", "reflect"] = "periodic"

    def __post_init__(self) -> None:
        between(WHERE, 0.0, LARGEST, sd_pixels=self.sd_pixels, length_pixels=self.length_pixels)
        between(WHERE, -360.0, 360.0, motion_degrees=self.motion_degrees or 0.0)
        between(WHERE, 1, LARGEST, point_spread_pixels=self.point_spread_pixels)
        if self.point_spread_pixels % 2 == 0:
            raise StudyError(f"{WHERE}.point_spread_pixels must be odd; it is {self.point_spread_pixels}.")
        if self.point_spread == "motion" and self.length_pixels > self.point_spread_pixels - 1:
            raise StudyError(
                f"{WHERE}.length_pixels must be below point_spread_pixels, {self.point_spread_pixels}, by 1 or more; "
                f"it is {self.length_pixels}."
            )
        if (self.point_spread == "own") != bool(self.weights or self.weights_file):
            raise StudyError(
                f"{WHERE}: weights or weights_file, and point_spread = 'own', are named together or not at all."
            )
        if self.weights and self.weights_file:
            raise StudyError(f"{WHERE}: name weights or weights_file, not both.")

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """point_spread: (K, K) or (K, K, K)."""
        demand_image(WHERE, shape)
        sides = (self.point_spread_pixels,) * (len(shape) - 1)
        if self.boundary == "reflect" and min(shape[1:]) < sides[0] // 2:
            raise StudyError(
                f"{WHERE}: half a point spread of {sides[0]} pixels is wider than an image of {shape[1:]}."
            )
        return {"point_spread": sides}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """The point spread; the motion's direction is drawn unless it is given."""
        sides = self.parameter_shapes(shape)["point_spread"]
        if self.point_spread == "motion":
            degrees = rng.uniform(0, 180) if self.motion_degrees is None else self.motion_degrees
            weights = point_spread.motion(sides, self.length_pixels, degrees)
        elif self.point_spread == "gaussian":
            weights = point_spread.gaussian(sides, self.sd_pixels)
        else:
            weights = own_point_spread.read(WHERE, self.weights, self.weights_file, sides, self.normalised)
        return {"point_spread": weights.astype(np.float32)}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """Convolution, of each case with its own point spread."""
        weights = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)["point_spread"]
        if self.boundary == "periodic":
            return PeriodicBlur(shape, weights, Transfer(weights, shape[1:]))
        if self.boundary == "reflect" and self.point_spread == "gaussian":
            return MirroredBlur.of(shape, weights)
        size = tuple(side + weights.shape[-1] - 1 for side in shape[1:])
        return BoundedBlur(shape, weights, Transfer(weights, size), self.boundary == "reflect")


operator: type[Operator] = Blur
