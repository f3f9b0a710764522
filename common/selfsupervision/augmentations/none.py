"""Nothing is changed: for tests, and for what other augmentations are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from common.selfsupervision.augmentation import Augmentation
from common.selfsupervision.pipeline import Pipeline, Resizing, Step
from common.selfsupervision.warps import Crop


@dataclass(frozen=True)
class Nothing(Pipeline):
    """A view of another size shows the whole image in it."""

    def steps(self) -> tuple[Resizing, *tuple[Step, ...]]:
        """None but a size."""
        return (Crop(),)


augmentation: type[Augmentation] = Nothing
