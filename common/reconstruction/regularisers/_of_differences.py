"""What regularisers of differences of neighbours share: the map D and its adjoint."""

from __future__ import annotations

from torch import Tensor

from common.reconstruction.differences import adjoint_differences, differences, largest_difference, scales


class OfDifferences:
    """Members of a frozen dataclass that has the options below."""

    spacing: tuple[float, ...]
    periodic: bool

    def analysis(self, images: Tensor) -> Tensor:
        """D x: (N, C, D, *S)."""
        return differences(images, scales(images.dim() - 2, self.spacing), self.periodic)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """D' c."""
        return adjoint_differences(coefficients, scales(coefficients.dim() - 3, self.spacing), self.periodic)

    def split_norm(self, axes: int) -> float:
        """Of D."""
        return largest_difference(scales(axes, self.spacing))
