"""A variational autoencoder whose latents lie on a coarse grid (Kingma and Welling 2014).

A single vector of latents makes blurred images of a few thousand that it has seen; a grid of them says what is where.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.learning.layers import convolution, group_norm

WIDEST = 4
"""Times the width at full resolution, of channels at lower ones."""
LEAST_LOGARITHM, LARGEST_LOGARITHM = -12.0, 4.0


class Encoder(nn.Module):
    """(N, C, *S) -> mean and logarithm of variance of the latents, (N, L, *S / 2^levels) each."""

    def __init__(self, channels: int, dimensions: int, width: int, levels: int, latents: int) -> None:
        super().__init__()
        layers, now = list[nn.Module](_block(dimensions, channels, width)), width
        for level in range(levels):
            wider = width * min(2 ** (level + 1), WIDEST)
            layers += [_pooling(dimensions), *_block(dimensions, now, wider)]
            now = wider
        self.body = nn.Sequential(*layers, convolution(dimensions, now, 2 * latents, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of each image."""
        mean, logarithm = self.body(images).chunk(2, dim=1)
        return mean, logarithm.clamp(LEAST_LOGARITHM, LARGEST_LOGARITHM)


class Decoder(nn.Sequential):
    """(N, L, *S / 2^levels) -> (N, C, *S)."""

    def __init__(self, channels: int, dimensions: int, width: int, levels: int, latents: int) -> None:
        now = width * min(2**levels, WIDEST)
        layers = [*_block(dimensions, latents, now), *_block(dimensions, now, now)]
        for level in reversed(range(levels)):
            narrower = width * min(2**level, WIDEST)
            layers += [nn.Upsample(scale_factor=2), *_block(dimensions, now, narrower)]
            now = narrower
        super().__init__(*layers, convolution(dimensions, now, channels, 3))


def divergence(mean: Tensor, logarithm: Tensor) -> Tensor:
    """(N,) nats from the prior to the latents' posterior."""
    return 0.5 * (mean.square() + logarithm.exp() - 1 - logarithm).flatten(1).sum(1)


def _block(dimensions: int, channels_in: int, channels_out: int) -> list[nn.Module]:
    return [convolution(dimensions, channels_in, channels_out, 3), group_norm(channels_out), nn.SiLU()]


def _pooling(dimensions: int) -> nn.Module:
    return nn.AvgPool2d(2) if dimensions == 2 else nn.AvgPool3d(2)
