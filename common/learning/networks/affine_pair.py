"""Affine registration: two pipelines with global average pooling that answer 6 or 12 numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.networks._pairs import dimensions_of_pair
from common.learning.task import Network
from common.registration.learned.networks import AffineNetwork
from common.study.checks import DEEPEST, WIDEST, sized


@dataclass(frozen=True)
class AffinePair:
    """channels: of the first layer, doubled at each of `depth` layers, each of which halves the image.

    depth: how many layers.
    """

    channels: int = 8
    depth: int = 4

    def __post_init__(self) -> None:
        sized("network", WIDEST, channels=self.channels)
        sized("network", DEEPEST, depth=self.depth)

    def build(self, shape: Shape) -> nn.Module:
        """(N, 2, *S) float32 -> (N, D, *S) displacement in voxels. Raises StudyError for other shapes."""
        dimensions = dimensions_of_pair("affine_pair", shape, 2)
        return AffineNetwork(dimensions, tuple(self.channels * 2**level for level in range(self.depth)))


network: type[Network] = AffinePair
