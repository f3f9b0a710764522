"""A generator of images, learned from images alone, by which whatever is measured of one is reconstructed.

Hospitals learn one prior and no operator (Elmas et al. 2022, FedGIMP): new operators need no training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.device import home
from common.learning.task import Task
from common.learning.tasks._reconstruction import MOST_ERROR, Reconstruction
from common.metrics.images.of_cases import scores_of_each
from common.reconstruction.first_image import first_image
from common.reconstruction.generator_prior import Found, Search, found
from common.reconstruction.image_loss import ImageLoss
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.latent_images import Decoder, Encoder, divergence
from common.reconstruction.packing import Layout
from common.seeding import case_generators
from common.study.catalogue import LOSSES
from common.study.checks import sized

NOISE = "noise"


@dataclass(frozen=True)
class Generator(Reconstruction):
    """A variational autoencoder of images, of complex ones of their magnitudes (Kingma and Welling 2014). Each case
    has a loss of its own and one optimiser moves all, so that every strategy and privacy takes it; its encoder says
    where to begin to search. With loss = "gan" a critic learns beside it (Larsen et al. 2016), and they do not.

    width: channels at full resolution, up to four times as many below. levels: halvings between an image and its
    latents. latents: numbers at each place of their grid. deviation: of pixels that the generator leaves to noise, a
    share of the data range. The loss is in nats a pixel: by `loss`, of pixels, and from latents to their prior.

    A case is reconstructed by search, not by the network at once. latent_steps: over latents. adaptation_steps: at
    most, over the generator's weights too. consistency: what the generator's image weighs beside the data in the
    end. Steps are bounded and seconds are not, so that scores are the same on every machine.

    Scores beside those of every reconstruction: range_psnr, of truths that are encoded and made again, how near the
    generator comes to them at all.
    """

    views: ClassVar[tuple[str, ...]] = (NOISE,)

    width: int = 16
    levels: int = 2
    latents: int = 4
    deviation: float = 0.03
    latent_steps: int = 100
    adaptation_steps: int = 200
    consistency: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        sized("task", 1 << 12, width=self.width, latents=self.latents)
        sized("task", 16, levels=self.levels)
        self._search()

    def _search(self) -> Search:
        """In the images' unit."""
        return Search(
            latent_steps=self.latent_steps,
            adaptation_steps=self.adaptation_steps,
            deviation=self.deviation * self.data_range,
            consistency=self.consistency,
        )

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError unless 2 ** levels divides every side."""
        layout = self.layout(shape.inputs)
        sides = layout.image_shape[1:]
        if any(side % 2**self.levels for side in sides):
            raise StudyError(
                f"task.levels halves images {self.levels} times, so {2**self.levels} must divide every side; sides "
                f"are {sides}."
            )
        channels = 1 if self._operator.complex_images else self.channels
        sizes = (channels, len(sides), self.width, self.levels, self.latents)
        network = GeneratorNetwork(layout, channels, Encoder(*sizes), Decoder(*sizes), self._search())
        return self.with_parts(network, replace(layout, image_shape=(channels, *sides)))

    def compared(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The plain truth made again, of latents that are drawn, and itself: what a critic is shown too."""
        plain = self._plain(batch.targets)
        return cast(GeneratorNetwork, network).made_again(plain, _noise_of(batch))[0], plain

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32, of who makes images."""
        return self._nats(cast(GeneratorNetwork, network), batch.targets, _noise_of(batch))[0]

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Scores of each case. Cases are searched one by one, in single precision: the others leave no trace."""
        with torch.no_grad():
            inputs, truth = (part.to(home(network)).float() for part in (batch.inputs, batch.targets))
            images = network(inputs).double()
            each = [self._nats(cast(GeneratorNetwork, network), one[None], None) for one in truth]
            nats, made = (torch.cat(parts).double() for parts in zip(*each, strict=True))
            exact = truth.double()
            found_scores = self.scores(images, exact)
            start = self._image_scores(self.start(inputs.double()), exact, ("psnr",))["psnr"]
            reached = scores_of_each(made, self._plain(exact), data_range=self.data_range, names=("psnr",))["psnr"]
            return {
                **found_scores,
                "gain": found_scores["psnr"] - start,
                "range_psnr": torch.from_numpy(reached).to(images.device),
                "loss": nats.nan_to_num(MOST_ERROR).clamp(max=MOST_ERROR),
            }

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, noise by which latents are drawn from the posterior."""
        sides = (side // 2**self.levels for side in batch.targets.shape[2:])
        size = (self.latents, *sides)
        drawn = [one.standard_normal(size, dtype=np.float32) for one in case_generators(rng, len(batch))]
        return batch.with_columns(**{NOISE: torch.from_numpy(np.stack(drawn))})

    def _nats(self, network: GeneratorNetwork, truth: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """(N,) a pixel, and the images made again."""
        images = self._plain(truth)
        made, nats = network.made_again(images, noise)
        return self._losses(made, images, network) / self._unit + nats / prod(images.shape[1:]), made

    @cached_property
    def _unit(self) -> float:
        """What a loss of pixels is divided by for nats: of noise by Laplace, by Gauss, or of Gauss' near zero."""
        pixels = getattr(LOSSES.build(self.image_loss), "pixels", self.image_loss.name)
        return {"l1": self.deviation, "huber": self.deviation**2}.get(pixels, 2 * self.deviation**2)

    @cached_property
    def _loss(self) -> ImageLoss:
        """Of plain images, whatever the operator measures."""
        return ImageLoss(self.image_loss, complex_images=False)

    def _plain(self, truth: Tensor) -> Tensor:
        """What the generator makes of a truth: a complex image's magnitude."""
        return truth.norm(dim=1, keepdim=True) if self._operator.complex_images else truth


class GeneratorNetwork(nn.Module):
    """`encoder` and `decoder` of plain images, and how images are sought by them."""

    def __init__(self, layout: Layout, channels: int, encoder: Encoder, decoder: Decoder, search: Search) -> None:
        super().__init__()
        self.layout, self.channels, self.search = layout, channels, search
        self.encoder, self.decoder = encoder, decoder

    def forward(self, inputs: Tensor) -> Tensor:
        """Images, each sought by itself."""
        cases = [self.layout.unpack(inputs[index : index + 1]) for index in range(len(inputs))]
        return torch.cat([self.sought(linear, measured, self.search).image for measured, linear in cases])

    def sought(self, linear: LinearMap, measured: Tensor, search: Search, most_seconds: float | None = None) -> Found:
        """One case, by any operator on images of the size that was learned, and how it was found."""
        return found(self.decoder, self.starts(linear, measured), linear, measured, search, most_seconds)

    def starts(self, linear: LinearMap, measured: Tensor) -> Tensor:
        """(2, L, ...): the commonest image, and what the encoder takes the data's own for."""
        with torch.no_grad():
            image = first_image(linear, measured)
            if image.shape[1] != self.channels:
                image = image.norm(dim=1, keepdim=True)
            mean, _ = self.encoder(image)
            return torch.cat([torch.zeros_like(mean), mean])

    def made_again(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images made of latents that are drawn by `noise`, or most probable, and (N,) the latents' nats."""
        mean, logarithm = self.encoder(images)
        latents = mean if noise is None else mean + noise.to(mean) * (logarithm / 2).exp()
        return self.decoder(latents), divergence(mean, logarithm)


def _noise_of(batch: Batch) -> Tensor | None:
    return batch.tensor(NOISE) if NOISE in batch.columns else None


task: type[Task] = Generator
