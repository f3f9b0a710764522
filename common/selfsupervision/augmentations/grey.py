"""Any grey image or volume: a random crop brought back to size, mirrored or not, in other contrast."""

from __future__ import annotations

from dataclasses import dataclass

from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.cut_out import CutOut
from common.selfsupervision.greys import Greys
from common.selfsupervision.pipeline import Pipeline, Resizing, Step
from common.selfsupervision.pixel_noise import PixelNoise
from common.selfsupervision.separable import Blur
from common.selfsupervision.warps import Crop


@dataclass(frozen=True)
class Grey(Pipeline):
    """smallest_crop, largest_crop: least and greatest share of an image's area or volume that a view shows; 1 is all
    of it. aspect: by which factor the sides of a crop may differ; 1 for none. mirrored: spatial axes along which half
    of the views are reversed, -1 for the last; [] for none. rotation_degrees: about each axis, at most.

    contrast: by which share greys are stretched about their mean, more or less, at most. brightness: by how many of
    their standard deviations they are moved at most. gamma: the most that an exponent of greys differs from 1, as a
    logarithm. blur_pixels: standard deviation of a Gaussian, at most. noise: standard deviation at most, as a share
    of the range of greys. cut_out: hidden share of a view, at most. Each is off at 0.
    """

    smallest_crop: float = 0.3
    largest_crop: float = 1.0
    aspect: float = 1.33
    mirrored: tuple[int, ...] = (-1,)
    rotation_degrees: float = 0.0
    contrast: float = 0.4
    brightness: float = 0.4
    gamma: float = 0.0
    blur_pixels: float = 0.0
    noise: float = 0.0
    cut_out: float = 0.0

    def __post_init__(self) -> None:
        self.steps()

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """Where it looks, in which greys, how sharply, with what noise, and what is hidden."""
        return (
            Crop(self.smallest_crop, self.largest_crop, self.aspect, self.mirrored, self.rotation_degrees),
            Greys(self.contrast, self.brightness, self.gamma),
            Blur(self.blur_pixels),
            PixelNoise(self.noise),
            CutOut(self.cut_out),
        )


augmentation: type[Augmentation] = Grey
