"""What every counterfactual must be (Galles and Pearl 1998), measured on images (Monteiro et al. 2023).

Composition: an image of which nothing is changed is itself. Effectiveness: what was set is what one finds in the
image. Reversibility: setting it back brings the image back. All are exact in a known model, and each is a distance
here: 0 is perfect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GREY_LEVELS = 255.0


class Counterfactuals(Protocol):
    """Whatever answers what an image and its causes would have been: `DeepModel`, or a known model."""

    def counterfactual(
        self,
        images: Tensor,
        values: Tensor,
        actions: Mapping[str, Tensor | float],
        *,
        noise: Tensor | None = None,
        keep_pixels: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) images and (N, K) values, had causes been set."""
        ...


def grey_distance(some: Tensor, others: Tensor) -> Tensor:
    """(N,) mean absolute difference of images in [0, 1], in grey levels of 0 to 255; what lies outside is cut off."""
    return GREY_LEVELS * (some.clamp(0, 1) - others.clamp(0, 1)).abs().flatten(1).mean(1)


def composition(
    model: Counterfactuals, images: Tensor, values: Tensor, *, keep_pixels: bool, passes: int = 1
) -> Tensor:
    """(N,) grey levels between images and themselves after so many passes in which nothing was changed."""
    made = images
    for _ in range(passes):
        made, _ = model.counterfactual(made, values, {}, keep_pixels=keep_pixels)
    return grey_distance(made, images)


def effectiveness(
    model: Counterfactuals,
    images: Tensor,
    values: Tensor,
    name: str,
    wanted: Tensor,
    measure: Callable[[NDArray[np.float64]], float],
) -> Tensor:
    """(N,) difference, in the cause's unit, between what was set and what `measure` finds in each case's image."""
    made, _ = model.counterfactual(images, values, {name: wanted})
    pixels = made.detach().clamp(0, 1).float().cpu().numpy().astype(np.float64)
    found = torch.tensor([measure(one) for one in pixels], dtype=wanted.dtype)
    return (found - wanted.cpu()).abs()


def reversibility(
    model: Counterfactuals, images: Tensor, values: Tensor, name: str, column: int, to: Tensor
) -> Tensor:
    """(N,) grey levels between images and what comes back, taken there and back, each way seen afresh."""
    there, moved = model.counterfactual(images, values, {name: to})
    back, _ = model.counterfactual(there.clamp(0, 1), moved, {name: values[:, column]})
    return grey_distance(back, images)
