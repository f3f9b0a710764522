"""Rows of pixels, each pixel with what a kernel's row sees of its surroundings, some cases at a time in one memory.

The other rows of the kernel see the same some rows further on, so that a kernel of 3 x 3 needs a third of the copies
that unfolding all of it does. Only convolutions that look at every pixel, stride 1, see so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from torch import Tensor

VALUES_TOGETHER = 1 << 18
"""Of cases in one memory, beside what they are multiplied with in a cache of 2 MiB. Measured, 8 cases of 32 x 32: .72
ms with twice as many or half as many .8 (16 channels), 1.09 and 1.12 (32 channels seen by 16)."""


@dataclass(frozen=True)
class Sight:
    """What pixels of a result see. pixels: the result's sizes. kernel, padding, dilation: of every axis.

    backwards: the kernel's weights come in opposite order, along all of its axes.
    """

    pixels: Sequence[int]
    kernel: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    backwards: bool = False

    @property
    def row(self) -> Sequence[int]:
        """Of the kernel: all axes but the first."""
        return self.kernel[1:]

    def rows(self, values: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Some cases, and (n, rows with padding, *pixels[1:], *kernel[1:], channels), in the same memory each time.

        values: (N, channels, ...).
        """
        moved = values.movedim(1, -1)
        shape = (moved.shape[1] + 2 * self.padding[0], *self.pixels[1:], *self.row, moved.shape[-1])
        together = min(len(moved), max(1, VALUES_TOGETHER // prod(shape)))
        place = moved.new_zeros((together, *shape))
        for start in range(0, len(moved), together):
            some = slice(start, start + together)
            laid = place[: len(moved) - start]
            self._lay(moved[some], laid)
            yield some, laid

    def below(self, laid: Tensor, down: int) -> Tensor:
        """(n, pixels, kernel[1:] and channels): what the kernel's row `down` sees."""
        at = down * self.dilation[0]
        return laid[:, at : at + self.pixels[0]].reshape(len(laid), prod(self.pixels), -1)

    def place(self, down: int) -> int:
        """Of the kernel's row `down` among its rows."""
        return self.kernel[0] - 1 - down if self.backwards else down

    def _lay(self, values: Tensor, laid: Tensor) -> None:
        """What lies beyond the image is nought already, and stays so."""
        first = slice(self.padding[0], self.padding[0] + values.shape[1])
        for weight in product(*map(range, self.row)):
            seen, inside = self._seen(weight, values.shape[2:-1])
            where = [size - 1 - at if self.backwards else at for at, size in zip(weight, self.row, strict=True)]
            to: tuple[slice | int, ...] = (slice(None), first, *inside, *where)
            laid[to] = values[(slice(None), slice(None), *seen)]

    def _seen(self, weight: Sequence[int], sizes: Sequence[int]) -> tuple[list[slice], list[slice]]:
        """Which pixels a weight of the row sees, and from which, along all axes but the first."""
        seen, inside = [], []
        axes = zip(weight, self.dilation[1:], self.padding[1:], self.pixels[1:], sizes, strict=True)
        for at, dilation, padding, pixels, size in axes:
            shift = at * dilation - padding
            low, high = max(0, -shift), max(0, -shift, min(pixels, size - shift))
            inside.append(slice(low, high))
            seen.append(slice(low + shift, high + shift))
        return seen, inside
