"""Any grey image or volume: a random crop brought back to size, mirrored or not, in other contrast."""

from __future__ import annotations

from dataclasses import dataclass

from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.greys import Greys
from common.selfsupervision.pipeline import Pipeline, Resizing, Step
from common.selfsupervision.warps import Crop


@dataclass(frozen=True)
class Grey(Pipeline):
    """smallest_crop, largest_crop: least and greatest share of an image's area or volume that a view shows; 1 is all
    of it. contrast, brightness: by which share of the image's own spread the greys are stretched or moved at most.
    """

    smallest_crop: float = 0.3
    largest_crop: float = 1.0
    aspect: float = 1.33
    mirrored: tuple[int, ...] = (-1,)
    rotation_degrees: float = 0.0
    contrast: float = 0.4
    brightness: float = 0.4
    gamma: float = 0.0

    def __post_init__(self) -> None:
        self.steps()

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """Where it looks, then in which greys."""
        crop = Crop(self.smallest_crop, self.largest_crop, self.aspect, self.mirrored, self.rotation_degrees)
        return crop, Greys(self.contrast, self.brightness, self.gamma)


augmentation: type[Augmentation] = Grey
