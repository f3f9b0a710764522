"""Contrast augmentation: a case as another scanner might have taken it, mirrored and noisy.

Scanners differ more in which tissue is bright than in anything else, so each case's intensities go along a curve
drawn for it, dark for bright included (after Billot et al. 2023, SynthSeg, who train on random contrasts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.cases import Batch

LARGEST_LOG_GAMMA = 0.7
INVERTED_SHARE = 0.5
LARGEST_GAIN_CHANGE = 0.2
LARGEST_OFFSET = 0.2
LARGEST_NOISE = 0.15

Numbers = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class AugmentationDraws:
    """All that chance decides for N cases, (N,) each but the noise.

    gamma: exponent of the curve. inverted: whether dark turns bright. gain, offset: of the case afterwards, the
    offset in its standard deviations. noise: (N, ...), in its standard deviations. mirrored: whether the case
    is reversed, along `mirrored_axis`.
    """

    gamma: Numbers
    inverted: NDArray[np.bool_]
    gain: Numbers
    offset: Numbers
    noise: Numbers
    mirrored: NDArray[np.bool_]


def draw(count: int, inputs: tuple[int, ...], rng: np.random.Generator) -> AugmentationDraws:
    """Draws for `count` cases of shape `inputs`."""

    def uniform(size: float) -> Numbers:
        return rng.uniform(-size, size, count).astype(np.float32)

    strength = np.abs(uniform(LARGEST_NOISE)).reshape(-1, *(1 for _ in inputs))
    return AugmentationDraws(
        gamma=np.exp(uniform(LARGEST_LOG_GAMMA)),
        inverted=rng.random(count) < INVERTED_SHARE,
        gain=1 + uniform(LARGEST_GAIN_CHANGE),
        offset=uniform(LARGEST_OFFSET),
        noise=strength * rng.standard_normal((count, *inputs), dtype=np.float32),
        mirrored=rng.random(count) < 0.5,
    )


def augmented(batch: Batch, draws: AugmentationDraws) -> Batch:
    """The batch with `draws` applied; masks are mirrored with their images, and nothing else happens to them."""
    axis = mirrored_axis(batch.inputs.ndim - 2)
    inputs = _mirrored(_curved(batch.inputs.numpy(), draws), draws, axis)
    targets = _mirrored(batch.targets.numpy(), draws, axis)
    return batch.with_columns(inputs=torch.from_numpy(inputs), targets=torch.from_numpy(targets))


def mirrored_axis(dimensions: int) -> int:
    """The last axis of images. The first spatial axis of volumes: read as RAS, that swaps left and right, as bodies
    come, and never head and feet.
    """
    return -3 if dimensions == 3 else -1


def _mirrored(values: NDArray[T], draws: AugmentationDraws, axis: int) -> NDArray[T]:
    flip = draws.mirrored.reshape(-1, *(1 for _ in values.shape[1:]))
    return np.where(flip, np.flip(values, axis), values)


def _curved(images: Numbers, draws: AugmentationDraws) -> Numbers:
    """(N, ...) images along their curves, then with their own mean and deviation again, gain, offset and noise."""
    axes = tuple(range(1, images.ndim))

    def of_case(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return values.reshape(-1, *(1 for _ in axes))

    low, high = images.min(axes, keepdims=True), images.max(axes, keepdims=True)
    scaled = (images - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    scaled = np.where(of_case(draws.inverted), 1 - scaled, scaled) ** of_case(draws.gamma)
    mean, deviation = images.mean(axes, keepdims=True), images.std(axes, keepdims=True)
    standard = (scaled - scaled.mean(axes, keepdims=True)) / np.maximum(scaled.std(axes, keepdims=True), 1e-6)
    changed = of_case(draws.gain) * standard + of_case(draws.offset) + draws.noise
    return np.asarray(mean + deviation * changed, np.float32)
