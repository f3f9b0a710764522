"""Metal in MR: the field around it is so uneven that nothing is seen there, and the rim piles up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between

RIM_PIXELS, STEEP = 1.5, 4.0
"""Half the width of the rim; and one over the part of the span above which a place gives all the signal it can."""


@dataclass(frozen=True)
class Void:
    """radius: of what is not seen at severity 1, as a share of the shortest side. rim: how much brighter its edge is,
    as a share of the span.
    """

    source: ClassVar[str] = "Hargreaves et al. 2011, Metal-induced artifacts in MRI (AJR 197)"
    modalities: ClassVar[tuple[str, ...]] = ("mr",)

    radius: float = 0.18
    rim: float = 0.5

    def __post_init__(self) -> None:
        between("corruption", 0.0, 0.5, radius=self.radius)
        between("corruption", 0.0, 2.0, rim=self.rim)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Black within a ball that grows with severity, and its rim brighter by the signal that was moved there."""
        sides = image.shape[1:]
        place = 0.3 + 0.4 * rng.random(len(sides))
        if severity == 0:
            return image
        far = np.zeros(sides)
        for axis, (side, at) in enumerate(zip(sides, place, strict=True)):
            along = (np.arange(side) - at * (side - 1)) ** 2
            far = far + along.reshape([-1 if one == axis else 1 for one in range(len(sides))])
        beyond = np.sqrt(far) - severity * self.radius * min(sides)
        seen = np.clip(beyond + 0.5, 0, 1)
        share = (image - span[0]) / (span[1] - span[0])
        rim = severity * self.rim * (span[1] - span[0]) * np.exp(-0.5 * (beyond / RIM_PIXELS) ** 2)
        return np.asarray(span[0] + (image - span[0]) * seen + rim * np.clip(STEEP * share, 0, 1), np.float32)


corruption: type[Corruption] = Void
