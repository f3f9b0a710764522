"""Mean absolute difference of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.learning.own_loss import Loss
from common.reconstruction.losses._pixels import WithVariation, difference, each


@dataclass(frozen=True)
class Absolute(WithVariation):
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels."""

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N,)."""
        return each(difference(outputs, targets).abs()) + self.beside(outputs)


loss: type[Loss] = Absolute
