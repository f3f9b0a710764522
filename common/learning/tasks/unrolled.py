"""Unrolled reconstruction: steps towards the data and networks in turn, all learned together."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.consistency import CONSISTENCIES, Consistency, Data, positive
from common.reconstruction.first_image import first_image
from common.reconstruction.frame import Frame
from common.reconstruction.imaging_operator import Invertible
from common.reconstruction.packing import Layout
from common.study.catalogue import NETWORKS
from common.study.checks import one_of, sized
from common.study.options import Entry

MOST_ITERATIONS = 100


@dataclass(frozen=True)
class Unrolled(Reconstruction):
    """Proximal gradient whose proximal map is a network: z = x + eta A'(y - A x), then x = z + network(z), a fixed
    number of times, with eta learned (Gregor and LeCun 2010 for shrinkage; Adler and Oktem 2018, Hammernik et al.
    2018, equation 5).

    iterations: number of steps. shared: whether all have one network (Aggarwal et al. 2019, MoDL) or each its own.
    consistency: how z is made of x: "gradient"; "proximal", the image that fits the data and lies near x, with a
    learned weight (MoDL, equation 9); "projection", the nearest that fits the data (Schlemper et al. 2018, equation 6
    without noise). network: answers an image as large as the one it is shown, and is added to it, from
    `common/learning/networks`.
    """

    network: Entry = field(default_factory=lambda: Entry("ffdnet"))
    iterations: int = 5
    shared: bool = False
    consistency: Consistency = "gradient"

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)
        sized("task", MOST_ITERATIONS, iterations=self.iterations)
        one_of("task", CONSISTENCIES, consistency=self.consistency)

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the network does not fit the images, or the operator the
        consistency.
        """
        layout = self.layout(shape.inputs)
        if self.consistency == "projection" and not isinstance(layout.empty_map, Invertible):
            raise StudyError(
                f"task.consistency 'projection' needs a pseudo-inverse, which operator {self.operator.name!r} has "
                "not: choose 'gradient' or 'proximal'."
            )
        shown = Shape(layout.image_shape, layout.image_shape[0])
        count = 1 if self.shared else self.iterations
        networks = [build_fitting(self.network, shown, layout.image_shape, "unrolled") for _ in range(count)]
        made = UnrolledNetwork(layout, networks, self.iterations, self.consistency)
        return self.with_parts(made, layout)


class UnrolledNetwork(nn.Module):
    """Packed data to images."""

    def __init__(self, layout: Layout, networks: list[nn.Module], iterations: int, consistency: Consistency) -> None:
        super().__init__()
        self.layout, self.consistency = layout, consistency
        self.networks = nn.ModuleList(networks)
        self.steps = nn.Parameter(torch.zeros(iterations))

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        measured, linear = self.layout.unpack(inputs)
        data = Data.of(linear, measured)
        image = first_image(linear, measured)
        frame = Frame.of(image, self.layout.operator.complex_images)
        for number, step in enumerate(positive(self.steps)):
            nearer = self._nearer(data, image, step)
            found = self.networks[number % len(self.networks)](frame.shown(nearer))
            image = nearer + frame.put_back(found)
        return image

    def _nearer(self, data: Data, image: Tensor, step: Tensor) -> Tensor:
        if self.consistency == "gradient":
            return data.descended(image, step)
        return data.proximal(image, step) if self.consistency == "proximal" else data.projected(image)


task: type[Task] = Unrolled
