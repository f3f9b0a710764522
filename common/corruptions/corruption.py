"""The role of a corruption. Entries live in `common/corruptions/artefacts/`."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray


class Corruption(Protocol):
    """A frozen dataclass of options: what its largest severity means, in the units of the field."""

    source: ClassVar[str]
    """Where the model of the artefact is from."""
    modalities: ClassVar[tuple[str, ...]]
    """Of "ct", "mr", "xray", "microscopy", "photograph": where it happens."""

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """An image (C, H, W) or (C, X, Y, Z) as it would have come with the artefact; shape and scale are kept.

        severity: 0 (the image itself, bit for bit) to 1 (as bad as a radiologist would still send); the same draws at
        every severity, so that a curve over it is of one realisation. span: black and white of the data.
        """
        ...


class CorruptionAbilities(Protocol):
    """What a corruption may have beside its role."""

    def moved(self, labels: NDArray[np.int64], severity: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Where the truth of a case (H, W) or (X, Y, Z) lies afterwards, by the same draws.

        Of a corruption that moves anatomy; where it stays, there is no such member.
        """
        ...
