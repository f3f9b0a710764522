"""Magnetic resonance: crops, small rotations, a coil's bias field, contrast, blur, ghosts and Rician noise."""

from __future__ import annotations

from dataclasses import dataclass

from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.bias_field import BiasField
from common.selfsupervision.cut_out import CutOut
from common.selfsupervision.greys import Greys
from common.selfsupervision.pipeline import Pipeline, Resizing, Step
from common.selfsupervision.pixel_noise import PixelNoise
from common.selfsupervision.separable import Blur, Ghosts
from common.selfsupervision.warps import Crop


@dataclass(frozen=True)
class Mr(Pipeline):
    """smallest_crop, largest_crop: least and greatest share of an image's area or volume that a view shows; 1 is all
    of it. aspect: by which factor the sides of a crop may differ; 1 for none. mirrored: spatial axes along which half
    of the views are reversed; name that of left and right alone, which is 0 in a volume as NIfTI stores it and -1 in
    an upright slice. rotation_degrees: about each axis, at most.

    bias_field: the most that a coil's field differs from 1, as a logarithm. contrast: by which share greys are
    stretched about their mean, more or less, at most. brightness: by how many of their standard deviations they are
    moved at most. gamma: the most that an exponent of greys differs from 1, as a logarithm. blur_pixels: standard
    deviation of a Gaussian, at most. ghosting: by which share every second to fifth line of k-space is weakened, at
    most. noise: standard deviation of Rician noise at most, as a share of the range of greys. cut_out: hidden
    share of a view, at most. Each is off at 0.
    """

    smallest_crop: float = 0.4
    largest_crop: float = 1.0
    aspect: float = 1.2
    mirrored: tuple[int, ...] = ()
    rotation_degrees: float = 10.0
    bias_field: float = 0.3
    contrast: float = 0.2
    brightness: float = 0.2
    gamma: float = 0.3
    blur_pixels: float = 0.5
    ghosting: float = 0.2
    noise: float = 0.03
    cut_out: float = 0.0

    def __post_init__(self) -> None:
        self.steps()

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """Where it looks, then what the scanner does: field, contrast, lines of k-space, noise; what is hidden."""
        return (
            Crop(self.smallest_crop, self.largest_crop, self.aspect, self.mirrored, self.rotation_degrees),
            BiasField(self.bias_field),
            Greys(self.contrast, self.brightness, self.gamma),
            Blur(self.blur_pixels),
            Ghosts(self.ghosting),
            PixelNoise(self.noise, "rician"),
            CutOut(self.cut_out),
        )


augmentation: type[Augmentation] = Mr
