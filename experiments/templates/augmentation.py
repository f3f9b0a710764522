"""An augmentation of your own: what makes a view of a case, drawn apart from being applied."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from common.selfsupervision.augmentation import Augmentation
from common.study.checks import between


@dataclass(frozen=True)
class Mine:
    """strength: of a shadow that falls over an image from one side, at most; at 1 it is black."""

    strength: float = 0.5

    def __post_init__(self) -> None:
        between("augmentation", 0.0, 1.0, strength=self.strength)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(2,): from which side, -1 or 1, and how strong. Everything random is drawn here, by `rng`."""
        return np.array([rng.choice([-1, 1]), self.strength * rng.random()], np.float32)

    def apply(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        """(N, C, *size): every image by its own row of `drawn`, by torch alone, so that it has a gradient."""
        side, strength = (column.to(images).reshape(-1, *(1,) * (images.ndim - 1)) for column in drawn.unbind(1))
        across = torch.linspace(-1, 1, images.shape[-1], dtype=images.dtype, device=images.device)
        shown = images * (1 - strength * (1 + side * across) / 2)
        return shown if size == tuple(images.shape[2:]) else interpolate(shown, size)


augmentation: type[Augmentation] = Mine
