"""A metal implant in CT: beams through it lose so much that the image is crossed by dark and bright streaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.reconstruction.operators.ct import Ct, Projection
from common.study.checks import between

MEASURED = 0.35
"""Of what a beam through metal would lose, what the detector still tells, at severity 1: few photons arrive, and soft
ones are gone first (beam hardening)."""
BRIGHTNESS = 4.0
"""Of metal, in spans."""


@dataclass(frozen=True)
class Metal:
    """radius: of a round implant, as a share of the image's shorter side. views: from which it is seen."""

    source: ClassVar[str] = "De Man et al. 1999, Metal streak artifacts in X-ray computed tomography (IEEE TNS 46)"
    modalities: ClassVar[tuple[str, ...]] = ("ct",)

    radius: float = 0.06
    views: int = 90

    def __post_init__(self) -> None:
        between("corruption", 0.0, 0.5, radius=self.radius)
        between("corruption", 1, 1000, views=self.views)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The image and what filtered back-projection makes of the metal's error, slice by slice."""
        place = 0.3 + 0.4 * rng.random(2)
        if severity == 0:
            return image
        metal = self._disc(image.shape[-2:], place)
        return (image + severity * (span[1] - span[0]) * self._streaks(metal)).astype(np.float32)

    def _disc(self, sides: tuple[int, ...], place: NDArray[np.float64]) -> NDArray[np.float32]:
        """1 inside, at its edge the part of a pixel that is inside."""
        rows, columns = (np.arange(side, dtype=np.float64) for side in sides)
        far = np.hypot(rows[:, None] - place[0] * (sides[0] - 1), columns[None] - place[1] * (sides[1] - 1))
        return np.asarray(np.clip(self.radius * min(sides) - far + 0.5, 0, 1), np.float32)

    def _streaks(self, metal: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the metal adds, in spans: itself, and where beams through it told too little."""
        shape = (1, *metal.shape)
        scanner = Ct(views=self.views)
        views = torch.ones(1, self.views, dtype=torch.float64)
        seen = cast(Projection, scanner.map(shape, {"views": views}))
        rays = seen.forward(torch.from_numpy(metal.astype(np.float64))[None])
        longest = float(rays.max())
        if not longest > 0:
            return np.zeros(metal.shape)
        told = rays * (1 - (1 - MEASURED) * rays / longest)
        return np.asarray(BRIGHTNESS * seen.approximate_inverse(told)[0, 0].numpy(), np.float64)


corruption: type[Corruption] = Metal
