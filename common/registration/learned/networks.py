"""Networks that answer a pair of images with the displacement that lays the moving one on the fixed one."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from common.registration.learned.spatial_transformer import compose, integrate, on_lattice, shrunk, warp

SLOPE = 0.2
FIRST_DEVIATION = 1e-5
"""Of the weights of the last layer: a fresh network leaves the moving image where it is."""


class DeformableNetwork(nn.Module):
    """(N, 2, *S), moving and fixed image, -> (N, D, *S) displacement in voxels.

    VoxelMorph (Balakrishnan et al. 2019): a U-Net without its finest level gives a field at half resolution,
    which is interpolated. widths: channels of each level, from half resolution on. diffeomorphic: the field is a
    stationary velocity, integrated by scaling and squaring (Dalca et al. 2019), so that it folds nowhere but by
    rounding.
    """

    def __init__(self, dimensions: int, widths: tuple[int, ...], diffeomorphic: bool) -> None:
        super().__init__()
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.diffeomorphic = diffeomorphic
        self.first = convolution(2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            convolution(a, b, 3, stride=2, padding=1) for a, b in pairwise((widths[0], *widths))
        )
        self.up = nn.ModuleList(
            convolution(deep + wide, wide, 3, padding=1) for deep, wide in pairwise(reversed(widths))
        )
        self.field = convolution(widths[0], dimensions, 3, padding=1)
        nn.init.normal_(self.field.weight, std=FIRST_DEVIATION)
        nn.init.zeros_(self.field.bias)  # type: ignore[arg-type]

    def forward(self, pair: Tensor) -> Tensor:
        """Displacement in voxels of the full lattice."""
        features = leaky_relu(self.first(pair), SLOPE)
        kept: list[Tensor] = []
        for layer in self.down:
            features = leaky_relu(layer(features), SLOPE)
            kept.append(features)
        features = kept.pop()
        for layer in self.up:
            finer = kept.pop()
            features = torch.cat([interpolate(features, size=finer.shape[2:]), finer], dim=1)
            features = leaky_relu(layer(features), SLOPE)
        field = self.field(features)
        return on_lattice(integrate(field) if self.diffeomorphic else field, tuple(pair.shape[2:]))


class AffineNetwork(nn.Module):
    """(N, 2, *S) -> (N, D, *S) displacement in voxels of an affine map (de Vos et al. 2019, section 3.1).

    Each image passes a pipeline of its own; global average pooling makes what follows independent of the size; the
    last layer answers 6 numbers in 2D and 12 in 3D: the map's difference from the identity, in the cube.
    """

    def __init__(self, dimensions: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.moving, self.fixed = _pipeline(dimensions, widths), _pipeline(dimensions, widths)
        last = nn.Linear(2 * widths[-1], dimensions * (dimensions + 1))
        self.numbers = nn.Sequential(nn.Linear(2 * widths[-1], 2 * widths[-1]), nn.LeakyReLU(SLOPE), last)
        nn.init.normal_(last.weight, std=FIRST_DEVIATION)
        nn.init.zeros_(last.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """Displacement in voxels."""
        axes = tuple(range(2, pair.ndim))
        seen = [pipeline(pair[:, [i]]).mean(axes) for i, pipeline in enumerate((self.moving, self.fixed))]
        change = self.numbers(torch.cat(seen, dim=1)).reshape(-1, self.dimensions, self.dimensions + 1)
        sizes = pair.shape[2:]
        ticks = [(torch.arange(size) * 2 + 1) / size - 1 for size in sizes]
        cube = torch.stack([*torch.meshgrid(*ticks, indexing="ij"), torch.ones(tuple(sizes))]).to(pair)
        half = torch.tensor([size / 2 for size in sizes]).to(pair)
        displacement = torch.einsum("nde,e...->nd...", change, cube)
        return displacement * half.reshape(1, -1, *(1 for _ in sizes))


class AffineThenDeformable(nn.Module):
    """(N, 2, *S) -> (N, D, *S) displacement in voxels: an affine network, then another on what it has aligned.

    The stages of de Vos et al. 2019 (section 3.3), trained together on the composed displacement.
    """

    def __init__(self, affine: nn.Module, deformable: nn.Module) -> None:
        super().__init__()
        self.affine, self.deformable = affine, deformable

    def forward(self, pair: Tensor) -> Tensor:
        """Displacement in voxels of both stages together."""
        moving, fixed = pair[:, :1], pair[:, 1:]
        linear = self.affine(pair)
        aligned = torch.cat([warp(moving, linear), fixed], dim=1)
        return compose(self.deformable(aligned), linear)


class Coarser(nn.Module):
    """(N, 2, *S) -> (N, D, *S) displacement in voxels, by a network that sees images of S // times voxels.

    A field is smooth, so little is lost, and a pass costs times^D less.
    """

    def __init__(self, network: nn.Module, times: int) -> None:
        super().__init__()
        self.network, self.times = network, times

    def forward(self, pair: Tensor) -> Tensor:
        """Displacement in voxels of the full lattice."""
        displacement = self.network(shrunk(pair, self.times))
        return on_lattice(displacement, tuple(pair.shape[2:]))


def _pipeline(dimensions: int, widths: tuple[int, ...]) -> nn.Sequential:
    convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise((1, *widths)):
        layers += [convolution(channels_in, channels_out, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
