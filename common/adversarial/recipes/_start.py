"""Where the steps of a recipe begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.adversarial.room import Room


def drawn_start(rng: np.random.Generator, shape: tuple[int, ...], wanted: bool) -> NDArray[np.float32]:
    """(1, *shape) in -1 to 1, or (0, *shape) where none is wanted."""
    return rng.uniform(-1, 1, (int(wanted), *shape)).astype(np.float32)


def started(inputs: Tensor, room: Room, drawn: Tensor) -> Tensor:
    """(N, ...) where the draw says, within the room; the inputs themselves where nothing was drawn."""
    if not drawn.shape[1]:
        return inputs.detach()
    return room.in_range(inputs.detach() + room.share(1.0, inputs) * drawn[:, 0].to(inputs))
