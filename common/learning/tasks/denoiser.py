"""Reconstruction with a denoiser that was learned first, on noise alone: any operator comes in at test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.device import exact_copy, home
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.consistency import Data
from common.reconstruction.first_image import first_image
from common.reconstruction.frame import Frame
from common.reconstruction.inner_products import by_case
from common.reconstruction.packing import Layout
from common.seeding import case_generators
from common.selfsupervision.held import generators_of
from common.study.catalogue import NETWORKS
from common.study.checks import between, positive, sized
from common.study.options import Entry

NOISE, LEVEL = "noise", "noise_level"
MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class Denoiser(Reconstruction):
    """Decoupled: the network learns to take white noise off the true images, and never meets the operator. To
    reconstruct, steps towards the data and the denoiser take turns (Venkatakrishnan et al. 2013, plug-and-play; Zhang
    et al. 2021, DPIR, equations 6a and 6b), while the level of noise that it is told falls.

    network: shown a noisy image and, as one more channel, the level; what it answers is added to the image.
    least_level, greatest_level: standard deviations of the noise, as shares of data_range, between which levels of
    training are drawn, evenly by their logarithm, and through which reconstruction falls. iterations: of
    reconstruction. data_noise: standard deviation of the noise in the data, in their unit, by which they are trusted.
    prior_weight: of what the denoiser says against them (DPIR's lambda).

    loss is of denoising; psnr, nmse and gain are of reconstruction.
    """

    views: ClassVar[tuple[str, ...]] = (NOISE, LEVEL)

    network: Entry = field(default_factory=lambda: Entry("ffdnet"))
    least_level: float = 0.01
    greatest_level: float = 0.2
    iterations: int = 8
    data_noise: float = 0.02
    prior_weight: float = 0.23

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)
        sized("task", MOST_ITERATIONS, iterations=self.iterations)
        positive("task", data_noise=self.data_noise, prior_weight=self.prior_weight, least_level=self.least_level)
        between("task", 0, 10, greatest_level=self.greatest_level)
        if self.least_level > self.greatest_level:
            raise StudyError(
                f"task.least_level may be at most task.greatest_level, {self.greatest_level}; it is "
                f"{self.least_level}."
            )

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the network does not fit the images."""
        layout = self.layout(shape.inputs)
        channels, *sides = layout.image_shape
        network = build_fitting(self.network, Shape((channels + 1, *sides), channels), layout.image_shape, "denoiser")
        levels = np.geomspace(self.greatest_level, self.least_level, self.iterations)
        weights = self.prior_weight * (self.data_noise / (self.data_range * levels)) ** 2
        steps = tuple(zip(levels.tolist(), weights.tolist(), strict=True))
        return self.with_parts(PlugAndPlay(layout, network, self.data_range, steps), layout)

    def compared(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The truth, with noise put on it and taken off."""
        drawn = self._noise(batch).to(batch.targets.device)
        return cast(PlugAndPlay, network).denoised(batch.targets + drawn.noise, drawn.level), batch.targets

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Of reconstruction, and the loss of denoising."""
        exact = exact_copy(network)
        with torch.no_grad():
            truth = batch.targets.to(home(exact)).double()
            losses = self.loss(exact, batch.with_columns(targets=truth))
            return {**super().answered(network, batch), "loss": losses}

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Noise beside the batch."""
        drawn = self._drawn(case_generators(rng, len(batch)), tuple(batch.targets.shape[1:]))
        return batch.with_columns(**{NOISE: drawn.noise, LEVEL: drawn.level})

    def _noise(self, batch: Batch) -> Drawn:
        """What was drawn for the batch; as a case is held, noise that follows from it alone."""
        if NOISE in batch.columns:
            return Drawn(batch.tensor(NOISE), batch.tensor(LEVEL))
        return self._drawn(generators_of(batch.targets, "noise to take off"), tuple(batch.targets.shape[1:]))

    def _drawn(self, generators: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Drawn:
        low, high = log(self.least_level), log(self.greatest_level)
        levels = [float(np.exp(rng.uniform(low, high))) for rng in generators]
        noises = [
            self.data_range * level * rng.standard_normal(shape)
            for level, rng in zip(levels, generators, strict=True)
        ]
        return Drawn(torch.tensor(np.stack(noises), dtype=torch.float32), torch.tensor(levels, dtype=torch.float32))


@dataclass(frozen=True)
class Drawn:
    """noise: (N, C, *S) to be added. level: (N,) its standard deviation as a share of the data range."""

    noise: Tensor
    level: Tensor

    def to(self, device: torch.device) -> Drawn:
        """On another device."""
        return Drawn(self.noise.to(device), self.level.to(device))


class PlugAndPlay(nn.Module):
    """Packed data to images, by a denoiser. steps: level and weight of each iteration."""

    def __init__(
        self, layout: Layout, network: nn.Module, data_range: float, steps: tuple[tuple[float, float], ...]
    ) -> None:
        super().__init__()
        self.layout, self.network, self.data_range, self.steps = layout, network, data_range, steps

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        measured, linear = self.layout.unpack(inputs)
        data = Data.of(linear, measured)
        image = first_image(linear, measured)
        for level, weight in self.steps:
            nearer = data.proximal(image, weight / data.square)
            image = self.denoised(nearer, nearer.new_full((len(nearer),), level))
        return image

    def denoised(self, images: Tensor, level: Tensor) -> Tensor:
        """(N, C, *S) without the noise. level: (N,) as a share of the data range.

        A network of real images takes complex ones too, both parts by themselves once their smooth phase is away.
        """
        if images.shape[1] == 2 and self.layout.image_shape[0] == 1:
            turn = Frame(images.new_ones(1), Frame.of(images, complex_images=True).turn)
            return turn.put_back(self._denoised_parts(turn.shown(images), level))
        own = Frame.of(images, self.layout.operator.complex_images)
        frame = Frame(torch.full_like(own.scale, self.data_range), own.turn)
        told = by_case(level, images).expand(-1, 1, *images.shape[2:])
        return images + frame.put_back(self.network(torch.cat([frame.shown(images), told], dim=1)))

    def _denoised_parts(self, images: Tensor, level: Tensor) -> Tensor:
        parts = self.denoised(images.flatten(0, 1)[:, None], level.repeat_interleave(images.shape[1]))
        return parts.reshape(images.shape)


task: type[Task] = Denoiser
