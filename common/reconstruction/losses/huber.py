"""Huber's loss of pixels: squared where they differ little, absolute beyond."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.learning.own_loss import Loss
from common.reconstruction.losses._pixels import WithVariation, difference, each, huber
from common.study.checks import positive


@dataclass(frozen=True)
class Huber(WithVariation):
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels.

    delta: from where the loss grows as the difference, in data ranges (Huber 1964). A delta of 1 is half of the
    squared loss but where an answer lies outside of the range; 0.05 makes edges count less.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("loss 'huber'", delta=self.delta)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N,)."""
        return each(huber(difference(outputs, targets), self.delta)) + self.beside(outputs)


loss: type[Loss] = Huber
