"""Where an adversary may put an input: near where it was, and within the range that values have."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Room:
    """size: largest change of any value, in the inputs' own units; a number or what broadcasts to an input.

    low, high: that values have, (C, 1, ...) of an image's channels, (F,) of a table's columns, or of any shape that
    broadcasts to an input.
    """

    size: Tensor
    low: Tensor
    high: Tensor

    def within(self, moved: Tensor, inputs: Tensor) -> Tensor:
        """`moved`, put back into the range and no further than `size` from `inputs`.

        Clipped by size first and by range last, as torchattacks does: bits are equal to its own.
        """
        return (inputs + (moved - inputs).clamp(-self.size, self.size)).clamp(self.low, self.high)
