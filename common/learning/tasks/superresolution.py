"""Super-resolution: a large image from a small one, by one of four designs, among hospitals that blur differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.task import Task
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.design import Design, Enlargement, enlarge
from common.reconstruction.interpolation import resized
from common.reconstruction.packing import Layout
from common.study.catalogue import DESIGNS
from common.study.checks import between, each
from common.study.options import EXAMPLE, Entry

MOST_STEPS = 100
FIRST_WEIGHT = 0.1


@dataclass(frozen=True)
class SuperResolution(Reconstruction):
    """design: how a network enlarges, from `common/reconstruction/designs`: "pre" (interpolated first), "post"
    (last), "progressive" (twice, and twice again) or "iterative" (up and down), each with options. shows_blur:
    whether the network is shown, beside the small image, what is left of it when the bicubic image is measured by the
    hospital's own operator, which tells how it blurs. back_projections: steps after the network by which the image
    comes closer to what was measured, x + w U(y - A x), U bicubic and w learned (Irani and Peleg 1991, equation 2):
    A is each case's own, also where nobody trained on it. made_for: factors of the network, where it is used for
    other ones than it was trained for; (): those of the operator.

    Scores as of every reconstruction; gain: psnr less that of the bicubic image.
    """

    operator: Entry = field(
        default_factory=lambda: Entry("downsampling", {"factor": 4}),
        metadata={EXAMPLE: 'operator = { name = "downsampling", factor = 4 }'},
    )
    design: Entry = field(default_factory=lambda: Entry("post"))
    shows_blur: bool = False
    back_projections: int = 0
    made_for: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        DESIGNS.build(self.design)
        between("task", 0, MOST_STEPS, back_projections=self.back_projections)
        each("task", 1, MOST_STEPS, least=0, most=3, made_for=self.made_for)

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the operator does not shrink images, or nothing fits."""
        layout = self.layout(shape.inputs)
        channels, *small = layout.measured_shape
        factors = self.made_for or factors_of(layout)
        if len(factors) != len(small):
            raise StudyError(f"task.made_for must list {len(small)} factors; it lists {len(factors)}.")
        wanted = Enlargement(channels, channels * (2 if self.shows_blur else 1), tuple(small), factors)
        body = cast(Design, DESIGNS.build(self.design)).build(wanted)
        return self.with_parts(Enlarged(layout, body, self.shows_blur, self.back_projections), layout)

    def start(self, inputs: Tensor) -> Tensor:
        """(N, C, *S) the bicubic image."""
        layout = self.layout(tuple(inputs.shape[1:]))
        return resized(layout.unpack(inputs)[0], layout.image_shape[1:])


def factors_of(layout: Layout) -> tuple[int, ...]:
    """By which each side is enlarged. Raises StudyError where data are no small image."""
    image, measured = layout.image_shape, layout.measured_shape
    whole = len(image) == len(measured) and image[0] == measured[0]
    if not whole or any(side % small for side, small in zip(image, measured, strict=True)) or image == measured:
        raise StudyError(
            f"task 'superresolution' enlarges small images, and task.operator makes data of {measured} of an image "
            f"of {image}: choose operator 'downsampling', or task 'postprocessed' or another that reconstructs."
        )
    return tuple(side // small for side, small in zip(image[1:], measured[1:], strict=True))


class Enlarged(nn.Module):
    """A design's network, shown the small image and what the bicubic one misses of it; steps of back-projection."""

    def __init__(self, layout: Layout, body: nn.Module, shows_blur: bool, steps: int) -> None:
        super().__init__()
        self.layout, self.body, self.shows_blur = layout, body, shows_blur
        self.steps = nn.ParameterList(nn.Parameter(torch.tensor(FIRST_WEIGHT)) for _ in range(steps))

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        small, linear = self.layout.unpack(inputs)
        sides = self.layout.image_shape[1:]
        shown = small
        if self.shows_blur:
            shown = torch.cat([small, small - linear.forward(resized(small, sides))], 1)
        image = enlarge(self.body, shown, sides)
        for weight in self.steps:
            image = image + weight * resized(small - linear.forward(image), sides)
        return image


task: type[Task] = SuperResolution
