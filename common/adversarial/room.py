"""Where an adversary may put an input: near where it was, and within the range that values have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Room:
    """size: largest change of any value, in the inputs' own units; a number or what broadcasts to an input.

    low, high: that values have, (C, 1, ...) of an image's channels, (F,) of a table's columns, or of any shape that
    broadcasts to an input; infinite where there is no limit. In double precision where they were given so: they are
    rounded once, to the precision of the inputs.
    """

    size: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, size: float, low: float = -torch.inf, high: float = torch.inf) -> Room:
        """The same for all values."""
        return cls(*(torch.tensor(value, dtype=torch.float64) for value in (size, low, high)))

    def within(self, moved: Tensor, inputs: Tensor) -> Tensor:
        """`moved`, put back into the range and no further than `size` from `inputs`.

        Clipped by size first and by range last, as torchattacks does: bits are equal to its own.
        """
        size = self.size.to(inputs)
        return self.in_range(inputs + (moved - inputs).clamp(-size, size))

    def in_range(self, moved: Tensor) -> Tensor:
        """What lies outside of the range, put on its edge."""
        return moved.clamp(self.low.to(moved), self.high.to(moved))

    def share(self, of_size: float, inputs: Tensor) -> Tensor:
        """So large a share of the size, in the precision of the inputs."""
        return (self.size * of_size).to(inputs)

    def around(self, inputs: Tensor) -> Room:
        """The same room, but that a value which is out of the range already may stay where it is."""
        return Room(
            self.size, torch.minimum(self.low.to(inputs), inputs), torch.maximum(self.high.to(inputs), inputs)
        )
