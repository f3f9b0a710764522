"""Mean squared difference of pixels, which PSNR is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.learning.own_loss import Loss
from common.reconstruction.losses._pixels import WithVariation, difference, each


@dataclass(frozen=True)
class Squared(WithVariation):
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels."""

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N,)."""
        return each(difference(outputs, targets).square()) + self.beside(outputs)


loss: type[Loss] = Squared
