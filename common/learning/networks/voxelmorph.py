"""Deformable registration: a U-Net that answers a pair with a displacement, diffeomorphic where wanted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.networks._pairs import dimensions_of_pair
from common.learning.task import Network
from common.registration.learned.networks import AffineNetwork, AffineThenDeformable, Coarser, DeformableNetwork
from common.study.checks import DEEPEST, WIDEST, sized


@dataclass(frozen=True)
class VoxelMorph:
    """channels: at half resolution, doubled once. depth: levels below full resolution.

    diffeomorphic: the network answers a velocity, which is integrated, so that nothing folds. affine: an affine
    network of as many channels goes before and aligns the pair, both trained as one. shrink: all of this on images
    averaged over so many voxels along each axis; the displacement is interpolated back.
    """

    channels: int = 16
    depth: int = 3
    diffeomorphic: bool = True
    affine: bool = False
    shrink: int = 1

    def __post_init__(self) -> None:
        sized("network", WIDEST, channels=self.channels, shrink=self.shrink)
        sized("network", DEEPEST, depth=self.depth)

    def build(self, shape: Shape) -> nn.Module:
        """(N, 2, *S) float32 -> (N, D, *S) displacement in voxels. Raises StudyError for other shapes."""
        dimensions = dimensions_of_pair("voxelmorph", shape, self.shrink * 2**self.depth)
        widths = (self.channels, *(2 * self.channels for _ in range(self.depth - 1)))
        network: nn.Module = DeformableNetwork(dimensions, widths, self.diffeomorphic)
        if self.affine:
            growing = tuple(self.channels * 2**level for level in range(self.depth))
            network = AffineThenDeformable(AffineNetwork(dimensions, growing), network)
        return network if self.shrink == 1 else Coarser(network, self.shrink)


network: type[Network] = VoxelMorph
