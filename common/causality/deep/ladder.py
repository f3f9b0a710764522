"""A conditional ladder of latent variables: how an image comes from its causes and from noise that can be taken back.

The hierarchical conditional VAE of De Sousa Ribeiro et al. 2023 (section 3.1), small, with the ladder's posterior
(Sonderby et al. 2016, equations 6 to 8: a precision-weighted mean of what the image says and the prior), and a
Laplace likelihood, whose mode is the median of what the image may be:

    z_k = m_k(z_<k, causes) + s_k(z_<k, causes) u_k,  u_k ~ N(0, 1)
    x   = m(z, causes) + s(z, causes) e,              e ~ Laplace(0, 1)

For given causes this is invertible in (u, e): abduction takes u from the posterior and e from what is left, and an
image that is made again of its own causes is itself (composition), whatever the network has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from common.learning.layers import convolution

LARGEST_LOG_RATIO = 5.0
LOG_2 = log(2.0)


@dataclass(frozen=True)
class ImageNoise:
    """latents: u_k, (N, L_k, h, w), deepest first. pixels: e, (N, C, H, W)."""

    latents: tuple[Tensor, ...]
    pixels: Tensor


@dataclass(frozen=True)
class Pass:
    """What one pass found. divergence: (N,) nats of all latents. location, scale: (N, C, H, W) of the pixels."""

    latents: tuple[Tensor, ...]
    divergence: Tensor
    location: Tensor
    scale: Tensor

    def negative_log_likelihood(self, images: Tensor) -> Tensor:
        """(N,) nats of Laplace's density."""
        terms = (images - self.location).abs() / self.scale + self.scale.log() + LOG_2
        return terms.flatten(1).sum(1)

    def pixels(self, images: Tensor) -> Tensor:
        """e of the images."""
        return (images - self.location) / self.scale


def latent_shapes(
    image: tuple[int, int, int], resolutions: int, latents: Sequence[int]
) -> tuple[tuple[int, int, int], ...]:
    """(channels, height, width) of each latent of a `ConditionalLadder` below the first, the coarsest first."""
    factors = (2 ** (resolutions - level) for level in range(len(latents)))
    return tuple((count, image[1] // by, image[2] // by) for count, by in zip(latents, factors, strict=True))


def noise_length(image: tuple[int, int, int], resolutions: int, latents: Sequence[int], top: int) -> int:
    """How many numbers of noise make the latents of one image."""
    return top + sum(a * b * c for a, b, c in latent_shapes(image, resolutions, latents))


class Block(nn.Module):
    """Two convolutions beside the image itself, both told of the causes."""

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.first = convolution(2, channels, channels, 3)
        self.second = convolution(2, channels, channels, 3)
        self.causes = nn.Linear(told, 2 * channels)

    def forward(self, features: Tensor, told: Tensor) -> Tensor:
        """(N, channels, h, w), (N, told) -> (N, channels, h, w)."""
        gain, shift = self.causes(told)[:, :, None, None].chunk(2, 1)
        inner: Tensor = self.first(silu(features)) * (1 + gain) + shift
        added: Tensor = self.second(silu(inner))
        return features + added


class Rung(nn.Module):
    """One latent variable, its prior given what is above and the causes, and what it adds."""

    def __init__(self, channels: int, latents: int, told: int) -> None:
        super().__init__()
        self.before = Block(channels, told)
        self.prior = convolution(2, channels, 2 * latents, 3)
        self.likelihood = convolution(2, 2 * channels, 2 * latents, 3)
        self.merge = convolution(2, latents, channels, 1)
        self.after = Block(channels, told)
        with torch.no_grad():
            for layer in (self.prior, self.likelihood):
                for parameter in layer.parameters():
                    parameter.mul_(0.1)

    def forward(
        self, features: Tensor, told: Tensor, seen: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features below, u, and nats.

        seen: what the image says, (N, channels, h, w): the latent is its posterior's, and `noise`, (N, latents, h, w)
        or None for its mean, is the posterior's. None: `noise` is u itself.
        """
        features = self.before(features, told)
        mean, log_scale = self.prior(features).chunk(2, 1)
        log_scale = LARGEST_LOG_RATIO * torch.tanh(log_scale / LARGEST_LOG_RATIO)
        if seen is None:
            assert noise is not None
            u, divergence = noise, noise.new_zeros(len(noise))
        else:
            offset, log_ratio = self.likelihood(torch.cat([features, seen], 1)).chunk(2, 1)
            u, divergence = _posterior(offset, log_ratio, noise)
        return self.after(features + self.merge(mean + log_scale.exp() * u), told), u, divergence


def _posterior(offset: Tensor, log_ratio: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
    """u, at the posterior's mean or by noise, and (N,) nats of the posterior from the prior, in units of the prior:
    a standard normal times a normal about `offset` whose precision is so many times the prior's.
    """
    precision = (LARGEST_LOG_RATIO * torch.tanh(log_ratio / LARGEST_LOG_RATIO) + 1).exp()
    mean, variance = offset * precision / (1 + precision), 1 / (1 + precision)
    nats = 0.5 * (variance + mean.square() - 1 - variance.log())
    u = mean if noise is None else mean + variance.sqrt() * noise
    return u, nats.flatten(1).sum(1)


class ConditionalLadder(nn.Module):
    """channels: of features at half resolution, and at each halving from there. latents: channels of the latent at
    each of these, the coarsest first. The first latent is a vector of `top` numbers, which sees the whole image.
    scale: s, of all pixels alike; one that is learned for each pixel was tried, and explains strokes away as noise.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        causes: int,
        channels: Sequence[int],
        latents: Sequence[int],
        top: int,
        scale: float,
    ) -> None:
        super().__init__()
        image_channels, *sides = image
        depth, self.causes = len(channels) - 1, causes
        sides = [side // 2 for side in sides]
        self.deepest = (channels[-1], *(side // 2**depth for side in sides))
        size, told = self.deepest[0] * self.deepest[1] * self.deepest[2], channels[-1]
        self.tell = nn.Sequential(nn.Linear(causes, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.enter = nn.Conv2d(image_channels, channels[0], 4, stride=2, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(channels))
        self.seeing = nn.ModuleList(Block(width, told) for width in channels)
        self.join = nn.Linear(size, 2 * top)
        self.start = nn.Linear(top + told, size)
        wide = list(reversed(channels))
        self.rungs = nn.ModuleList(Rung(w, n, told) for w, n in zip(wide, latents, strict=False))
        self.up = nn.ModuleList(convolution(2, a, b, 1) for a, b in pairwise(wide))
        self.leave = Block(channels[0], told)
        self.pixels = nn.Sequential(convolution(2, channels[0], 4 * image_channels, 3), nn.PixelShuffle(2))
        self.top, self.scale = top, scale
        self.latent_shapes = latent_shapes(image, len(channels), latents)
        self.noise_length = noise_length(image, len(channels), latents, top)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C + causes, H, W), the image and a plane for each cause -> (N, C, H, W): made again, without noise."""
        images, planes = inputs[:, : -self.causes], inputs[:, -self.causes :]
        return self.seen(images, planes[:, :, 0, 0]).location

    def seen(self, images: Tensor, causes: Tensor, noise: Tensor | None = None) -> Pass:
        """The posterior's latents, at their mean or by (N, noise_length) standard normal noise."""
        told = self.tell(causes)
        features, sights = self.enter(images), []
        for block, halve in zip_longest(self.seeing, self.down):
            features = block(features, told)
            sights.append(features)
            features = features if halve is None else halve(features)
        first, *others = self._parted(noise)
        offset, log_ratio = self.join(silu(features).flatten(1)).chunk(2, 1)
        u, nats = _posterior(offset, log_ratio, first)
        return self._descended(told, u, list(reversed(sights)), others, nats)

    def made(self, causes: Tensor, latents: Sequence[Tensor]) -> Pass:
        """Of latents that are known: `latents` as `seen` answers them, or drawn."""
        nothing = latents[0].new_zeros(len(causes))
        return self._descended(self.tell(causes), latents[0], [], list(latents[1:]), nothing)

    def drawn(self, noise: Tensor) -> tuple[Tensor, ...]:
        """Latents of the prior by (N, noise_length) standard normal noise."""
        return tuple(one for one in self._parted(noise) if one is not None)

    def _parted(self, noise: Tensor | None) -> list[Tensor | None]:
        if noise is None:
            return [None] * (1 + len(self.latent_shapes))
        lengths = [self.top, *(a * b * c for a, b, c in self.latent_shapes)]
        first, *others = torch.split(noise, lengths, 1)
        return [first, *(one.reshape(-1, *shape) for one, shape in zip(others, self.latent_shapes, strict=True))]

    def _descended(
        self, told: Tensor, top: Tensor, sights: list[Tensor], noises: Sequence[Tensor | None], nats: Tensor
    ) -> Pass:
        features = self.start(torch.cat([top, told], 1)).reshape(-1, *self.deepest)
        latents = [top]
        for level, (rung, up) in enumerate(zip_longest(self.rungs, self.up)):
            if rung is not None:
                sight = sights[level] if sights else None
                features, u, more = rung(features, told, sight, noises[level])
                latents.append(u)
                nats = nats + more
            if up is not None:
                features = up(interpolate(features, scale_factor=2.0, mode="nearest"))
        location = self.pixels(silu(self.leave(features, told)))
        scale = torch.full_like(location, self.scale)
        return Pass(tuple(latents), nats, location, scale)
