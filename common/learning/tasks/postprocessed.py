"""Reconstruction in two steps: an inverse of the operator first, then a network that mends the image it gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from common.data.cases import Shape
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._reconstruction import Reconstruction, started
from common.reconstruction.frame import Frame
from common.reconstruction.packing import Layout
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@dataclass(frozen=True)
class Postprocessed(Reconstruction):
    """network: answers an image as large as the one it is shown, and is added to it, from
    `common/learning/networks` (Jin et al. 2017, FBPConvNet). It sees no operator: partly agnostic.
    """

    network: Entry = field(default_factory=lambda: Entry("unet"))

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the network does not fit the images."""
        layout = self.layout(shape.inputs)
        shown = Shape(layout.image_shape, layout.image_shape[0])
        body = build_fitting(self.network, shown, layout.image_shape, "postprocessed")
        return self.with_parts(Mended(layout, body), layout)


class Mended(nn.Module):
    """x0 + network(x0), where x0 is what the data give by themselves."""

    def __init__(self, layout: Layout, network: nn.Module) -> None:
        super().__init__()
        self.layout, self.network = layout, network

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        measured, linear = self.layout.unpack(inputs)
        start = started(linear, measured)
        frame = Frame.of(start, self.layout.operator.complex_images)
        return start + frame.put_back(self.network(frame.shown(start)))


task: type[Task] = Postprocessed
