"""Radiographs: crops, small rotations, other exposure, blur and noise of counted photons; no mirror by default."""

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
class Xray(Pipeline):
    """smallest_crop, largest_crop: least and greatest share of an image that a view shows; 1 is all of it. aspect: by
    which factor the sides of a crop may differ; 1 for none. left_right: whether half of the views are mirrored, which
    puts the heart on the other side. rotation_degrees: either way, at most.

    contrast: by which share greys are stretched about their mean, more or less, at most. brightness: by how many of
    their standard deviations they are moved at most. gamma: exposure, the most that an exponent of greys differs from
    1, as a logarithm. blur_pixels: standard deviation of a Gaussian, at most. noise: standard deviation at the
    brightest grey at most, as a share of the range of greys; its variance is that of counts. cut_out: hidden
    share of a view, at most. Each is off at 0.
    """

    smallest_crop: float = 0.3
    largest_crop: float = 1.0
    aspect: float = 1.2
    left_right: bool = False
    rotation_degrees: float = 10.0
    contrast: float = 0.3
    brightness: float = 0.3
    gamma: float = 0.3
    blur_pixels: float = 0.5
    noise: float = 0.03
    cut_out: float = 0.0

    def __post_init__(self) -> None:
        self.steps()

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """Where it looks, in which exposure, how sharply, with what noise, and what is hidden."""
        mirrored = (-1,) if self.left_right else ()
        return (
            Crop(self.smallest_crop, self.largest_crop, self.aspect, mirrored, self.rotation_degrees),
            Greys(self.contrast, self.brightness, self.gamma),
            Blur(self.blur_pixels),
            PixelNoise(self.noise, "quantum"),
            CutOut(self.cut_out),
        )


augmentation: type[Augmentation] = Xray
