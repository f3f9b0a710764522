"""What tasks that learn to reconstruct share: data in planes, losses of images, and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn, no_grad

from common.data.cases import Batch, Shape
from common.learning.abilities import Drawn
from common.learning.device import exact_copy, home
from common.learning.imagined import Imagined
from common.learning.judging import numbers_of
from common.learning.panels import Panel
from common.metrics.images.of_cases import NAMES, scores_of_each
from common.reconstruction.first_image import first_image
from common.reconstruction.image_loss import IMAGES, ImageLoss
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.packing import Layout
from common.reconstruction.pictures import comparison
from common.reconstruction.usable import fault_of
from common.study.catalogue import OPERATORS
from common.study.checks import positive, sized
from common.study.options import EXAMPLE, OPTION, Entry
from common.sums.mean import Mean, means_of

MOST_ERROR = 1e4
"""Of a loss as a score, so that sums hold any model's."""

GUESSED_SHARE = 0.25
"""Of the data range: the unit of an image that is guessed."""


@dataclass(frozen=True)
class Reconstruction:
    """operator: by which cases were measured, from `common/reconstruction/operators`; what differs from case to case
    comes with the cases (source 'acquired'). channels: of real images; complex ones have two. data_range: from black
    to white, of the truth. loss: of images in data ranges, from `common/reconstruction/losses`: "l2", "l1", "huber",
    "perceptual", "gan", each with options, such as total_variation; or a function of your own of images and truth.

    Scores, means over cases, of complex images by magnitude: psnr in dB, ssim, nmse, hfen, sharpness (see
    `common.metrics.images`); loss; gain: psnr less that of the image by which the network begins.
    """

    headline: ClassVar[str] = "psnr"
    drawn: ClassVar[Drawn] = "panels"

    operator: Entry = field(metadata={EXAMPLE: 'operator = { name = "cartesian_mri", acceleration = 4.0 }'})
    channels: int = 1
    data_range: float = 1.0
    image_loss: Entry = field(default_factory=lambda: Entry("l2"), metadata={OPTION: "loss"})

    def __post_init__(self) -> None:
        self._operator  # noqa: B018 - built, so that a wrong option shows where the study is read
        sized("task", 1 << 12, channels=self.channels)
        positive("task", data_range=self.data_range)
        self._loss  # noqa: B018 - as the operator

    def layout(self, inputs_shape: tuple[int, ...]) -> Layout:
        """Where data and parameters lie in inputs (P, *S). Raises StudyError where they are of another operator."""
        channels = 2 if self._operator.complex_images else self.channels
        layout = Layout.of(self._operator, (channels, *inputs_shape[1:]))
        layout.check(inputs_shape)
        return layout

    @property
    def optimised(self) -> Mapping[str, tuple[str, ...]]:
        """A critic and all others in turn, where the loss has one."""
        return self._loss.groups

    def with_parts(self, network: nn.Module, layout: Layout) -> nn.Module:
        """The network and, beside what it is made of, the parts that the loss has: an encoder, a critic."""
        self._loss.add_parts(network, layout)
        return network

    def compared(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images that the loss compares, made and true."""
        return network(batch.inputs), batch.targets

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32, of who makes images."""
        return self._losses(*self.compared(network, batch), network)

    def loss_of(self, network: nn.Module, batch: Batch, group: str) -> Tensor:
        """(N,) float32: that of a critic, or as `loss`."""
        if group == IMAGES:
            return self.loss(network, batch)
        with no_grad():
            made, truth = self.compared(network, batch)
        return self._loss.of_opposed(network, made / self.data_range, truth / self.data_range)

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Scores of each case."""
        exact = exact_copy(network)
        with no_grad():
            inputs = batch.inputs.to(home(exact)).double()
            truth = batch.targets.to(home(exact)).double()
            image, start = exact(inputs), self.start(inputs)
            lost = self._losses(image, truth, exact).nan_to_num(MOST_ERROR).clamp(-MOST_ERROR, MOST_ERROR)
            found = {**self.scores(image, truth), "loss": lost}
            return {**found, "gain": found["psnr"] - self._psnr(start, truth)}

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

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Panel]:
        """The truth, what the network begins by and its image in one window, with scores and errors of both."""
        inputs = batch.inputs.to(home(network))
        known = len(batch.spacing_mm) == inputs.dim() - 2
        return comparison(
            batch.targets[0],
            {"from the data alone": self.start(inputs)[0], "reconstruction": network(inputs)[0]},
            self.data_range,
            complex_images=self._operator.complex_images,
            spacing_mm=batch.spacing_mm if known else (),
        )

    def imagined(self, shape: Shape, cases: int, rng: np.random.Generator) -> Imagined:
        """Data A x of images x, without noise; masks and the like are drawn by the operator's rule."""
        layout = self.layout(shape.inputs)
        drawn = [self._operator.draw(rng, layout.image_shape) for _ in range(cases)]
        parameters = {
            name: torch.from_numpy(np.stack([np.asarray(one[name], np.float32) for one in drawn]))
            for name in layout.parameters
        }

        def batch(images: Tensor) -> Batch:
            own = {name: values.to(images) for name, values in parameters.items()}
            linear = self._operator.map(layout.image_shape, own)
            inputs = layout.pack(linear.forward(images), own)
            return Batch({"inputs": inputs, "targets": images, "patients": ("",) * len(images)})

        unit = GUESSED_SHARE * self.data_range
        return Imagined((cases, *layout.image_shape), unit, batch, self._seen, tuple(layout.parameters))

    def _seen(self, images: Tensor) -> Tensor:
        return images.norm(dim=1, keepdim=True) if self._operator.complex_images else images

    def unusable(self, inputs: Tensor) -> tuple[int, str] | None:
        """A case whose mask, point spread, coils or angles measure nothing."""
        layout = self.layout(tuple(inputs.shape[1:]))
        return fault_of(self._operator, layout.image_shape, layout.parameters_of(inputs))

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        unit = "real and imaginary part of the image" if self._operator.complex_images else "the image"
        return f"{unit}, in the unit of the truth"

    def start(self, inputs: Tensor) -> Tensor:
        """(N, C, *S) the image that the data give by themselves."""
        measured, linear = self.layout(tuple(inputs.shape[1:])).unpack(inputs)
        return first_image(linear, measured)

    def scores(self, images: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """(N,) by name, of float64 images."""
        return self._image_scores(images, truth)

    def _image_scores(self, images: Tensor, truth: Tensor, names: Sequence[str] = NAMES) -> dict[str, Tensor]:
        found = scores_of_each(
            images,
            truth,
            data_range=self.data_range,
            complex_images=self._operator.complex_images,
            names=names,
        )
        return {name: torch.from_numpy(values).to(images.device) for name, values in found.items()}

    def _psnr(self, images: Tensor, truth: Tensor) -> Tensor:
        return self._image_scores(images, truth, ("psnr",))["psnr"]

    def _losses(self, images: Tensor, truth: Tensor, network: nn.Module | None = None) -> Tensor:
        """network: that holds the loss's parts; without it a loss that has parts is refused."""
        return self._loss.of(network, images / self.data_range, truth / self.data_range)

    @cached_property
    def _loss(self) -> ImageLoss:
        own = type(self).__module__.rpartition(".")[2]
        return ImageLoss(self.image_loss, complex_images=self._operator.complex_images, task=own)

    @cached_property
    def _operator(self) -> Operator:
        return cast(Operator, OPERATORS.build(self.operator))
