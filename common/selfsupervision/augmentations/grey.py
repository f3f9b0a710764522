"""Any grey image or volume: a random crop brought back to size, mirrored or not, in other contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from common.selfsupervision.augmentation import Augmentation
from common.study.checks import between, non_negative


@dataclass(frozen=True)
class Grey:
    """smallest_crop: least share of an image's area or volume that a view shows. contrast, brightness: by which
    share of the image's own spread the greys are stretched or moved at most.
    """

    smallest_crop: float = 0.3
    contrast: float = 0.4
    brightness: float = 0.4

    def __post_init__(self) -> None:
        between("augmentation", 0.01, 1.0, smallest_crop=self.smallest_crop)
        non_negative("augmentation", contrast=self.contrast, brightness=self.brightness)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(2 D + 3,) centre of the crop, half sides signed by mirroring, stretch and shift of the greys, unused."""
        axes = len(shape) - 1
        sides = np.full(axes, rng.uniform(self.smallest_crop, 1.0) ** (1 / axes))
        centre = rng.uniform(-1, 1, axes) * (1 - sides)
        mirrored = np.where(np.arange(axes) == 0, rng.choice([-1.0, 1.0]), 1.0)
        stretch, shift = 1 + self.contrast * rng.uniform(-1, 1), self.brightness * rng.uniform(-1, 1)
        return np.concatenate([centre, sides * mirrored, [stretch, shift]]).astype(np.float32)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Linear interpolation; the greys are stretched about each image's mean."""
        axes = images.ndim - 2
        theta = torch.cat([torch.diag_embed(drawn[:, axes : 2 * axes]), drawn[:, :axes, None]], dim=2)
        cropped = grid_sample(
            images, affine_grid(theta.to(images.dtype), list(images.shape), align_corners=False), align_corners=False
        )
        stretch, shift = (drawn[:, 2 * axes + place].reshape(-1, *(1,) * (axes + 1)) for place in (0, 1))
        over = tuple(range(1, images.ndim))
        mean, spread = cropped.mean(over, keepdim=True), cropped.std(over, keepdim=True)
        return (cropped - mean) * stretch + mean + shift * spread


augmentation: type[Augmentation] = Grey
