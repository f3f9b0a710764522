"""What tasks that learn to reconstruct share: data in planes, losses of images, and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, cast

import numpy as np
from torch import Tensor, nn, no_grad
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from common.data.cases import Batch, Shape
from common.learning.abilities import Drawn
from common.learning.device import exact_copy, home
from common.learning.judging import numbers_of
from common.reconstruction.first_image import first_image
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.packing import Layout
from common.study.catalogue import OPERATORS
from common.study.checks import one_of, positive, sized
from common.study.options import EXAMPLE, Entry
from common.sums.mean import Mean, means_of

LOSSES = ("l1", "l2", "huber")
MOST_DECIBELS = 100.0
"""What an image without any error counts, and the most that one can be worse than the data range."""
MOST_ERROR = 1e4
"""Of a score that is an error, so that sums hold any model's."""


@dataclass(frozen=True)
class Reconstruction:
    """operator: by which cases were measured, from `common/reconstruction/operators`; what differs from case to case
    comes with the cases (source 'acquired'). channels: of real images; complex ones have two. data_range: from black
    to white, of the truth. loss: of pixels, mean of "l1", "l2" or "huber" (squared up to 1, in data ranges).

    Scores, means over cases: psnr in dB, ssim, nmse, loss; gain: psnr less that of the image by which the network
    begins.
    """

    headline: ClassVar[str] = "psnr"
    drawn: ClassVar[Drawn] = "panels"

    operator: Entry = field(metadata={EXAMPLE: 'operator = { name = "cartesian_mri", acceleration = 4.0 }'})
    channels: int = 1
    data_range: float = 1.0
    pixel_loss: Literal["l1", "l2", "huber"] = field(default="l2", metadata={"option": "loss"})

    def __post_init__(self) -> None:
        self._operator  # noqa: B018 - built, so that a wrong option shows where the study is read
        sized("task", 1 << 12, channels=self.channels)
        positive("task", data_range=self.data_range)
        one_of("task", LOSSES, loss=self.pixel_loss)

    def layout(self, inputs_shape: tuple[int, ...]) -> Layout:
        """Where data and parameters lie in inputs (P, *S). Raises StudyError where they are of another operator."""
        channels = 2 if self._operator.complex_images else self.channels
        layout = Layout.of(self._operator, (channels, *inputs_shape[1:]))
        layout.check(inputs_shape)
        return layout

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: mean over pixels."""
        return self._losses(network(batch.inputs), batch.targets)

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Scores of each case."""
        exact = exact_copy(network)
        with no_grad():
            inputs = batch.inputs.to(home(exact)).double()
            truth = batch.targets.to(home(exact)).double()
            image, start = exact(inputs), self.start(inputs)
            return {**self.scores(image, truth), "gain": self._psnr(image, truth) - self._psnr(start, truth)}

    def judged_each(self, answered: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As they were answered."""
        return dict(answered)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Means over cases."""
        return means_of(numbers_of(self.judged_each(self.answered(network, batch))))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The same batch."""
        return batch

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, C, *S) float32 images."""
        images: Tensor = network(inputs).float()
        return images

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """Of an image."""
        return self.layout(shape.inputs).image_shape

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Magnitudes of truth, of what the network begins by, of its image, and how far that is from the truth."""
        pictures = {
            "truth": batch.targets,
            "from the data alone": self.start(batch.inputs),
            "reconstruction": network(batch.inputs),
        }
        shown = {name: magnitude(images)[0] for name, images in pictures.items()}
        return {**shown, "error": (shown["reconstruction"] - shown["truth"]).abs()}

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        unit = "real and imaginary part of the image" if self._operator.complex_images else "the image"
        return f"{unit}, in the unit of the truth"

    def start(self, inputs: Tensor) -> Tensor:
        """(N, C, *S) the image that the data give by themselves."""
        measured, linear = self.layout(tuple(inputs.shape[1:])).unpack(inputs)
        return started(linear, measured)

    def scores(self, images: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """(N,) by name, of float64 images."""
        errors = (images - truth).flatten(1).square().sum(1)
        energy = truth.flatten(1).square().sum(1).clamp(min=1e-12)
        return {
            "psnr": self._psnr(images, truth),
            "nmse": (errors / energy).clamp(max=MOST_ERROR),
            "loss": self._losses(images, truth).clamp(max=MOST_ERROR),
        }

    def _psnr(self, images: Tensor, truth: Tensor) -> Tensor:
        mean_square = (magnitude(images) - magnitude(truth)).flatten(1).square().mean(1)
        return (10 * (self.data_range**2 / mean_square.clamp(min=1e-30)).log10()).clamp(-MOST_DECIBELS, MOST_DECIBELS)

    def _losses(self, images: Tensor, truth: Tensor) -> Tensor:
        ours, theirs = images / self.data_range, truth / self.data_range
        if self.pixel_loss == "l1":
            pixels = l1_loss(ours, theirs, reduction="none")
        elif self.pixel_loss == "l2":
            pixels = mse_loss(ours, theirs, reduction="none")
        else:
            pixels = huber_loss(ours, theirs, reduction="none")
        return pixels.flatten(1).mean(1)

    @cached_property
    def _operator(self) -> Operator:
        return cast(Operator, OPERATORS.build(self.operator))


def started(linear: LinearMap, measured: Tensor) -> Tensor:
    """(N, C, *S): see `first_image`."""
    return first_image(linear, measured)


def magnitude(images: Tensor) -> Tensor:
    """(N, *S) of (N, C, *S): of complex images of two channels the absolute value, else of one channel itself."""
    return images[:, 0] if images.shape[1] == 1 else images.norm(dim=1)
