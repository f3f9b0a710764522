"""The bias field of a receiver coil: what is near to it is brighter, smoothly over the image."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.selfsupervision.bias_field import BiasField as Field
from common.study.checks import between


@dataclass(frozen=True)
class BiasField:
    """factor: by which the field makes the image brighter, or darker, where it does so most, at severity 1."""

    source: ClassVar[str] = "Van Leemput et al. 1999, Automated model-based bias field correction of MR images"
    modalities: ClassVar[tuple[str, ...]] = ("mr",)

    factor: float = 2.5

    def __post_init__(self) -> None:
        between("corruption", 1.0, 10.0, factor=self.factor)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Greys above the image's least times the exponential of a polynomial of degree 3, whose logarithm grows."""
        field = Field(log(self.factor))
        chances = rng.random((1, field.chances(image.ndim - 1)))
        chances[:, 0] = 1.0
        if severity == 0 or self.factor == 1:
            return image
        drawn = severity * torch.from_numpy(field.drawn(chances, image.shape))
        seen = field.apply(torch.from_numpy(np.array(image, np.float32))[None], drawn)[0]
        return np.asarray(seen.numpy(), np.float32)


corruption: type[Corruption] = BiasField
