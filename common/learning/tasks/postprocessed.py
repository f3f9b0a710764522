"""Reconstruction in two steps: an inverse of the operator first, then a network that mends the image it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from common.data.cases import Shape
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.first_image import first_image
from common.reconstruction.frame import Frame
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.packing import Layout
from common.reconstruction.solve import reconstruct
from common.study.catalogue import METHODS, NETWORKS, REGULARISERS
from common.study.checks import non_negative
from common.study.options import Entry


@dataclass(frozen=True)
class Postprocessed(Reconstruction):
    """network: answers an image as large as the one it is shown, and is added to it, from
    `common/learning/networks` (Jin et al. 2017, FBPConvNet). It sees no operator: partly agnostic.

    prior: of the inverse, from `common/reconstruction/regularisers`; not given: the pseudo-inverse where there is one
    in closed form, else the adjoint. prior_weight: of the prior against the data. method: that solves for the inverse
    with a prior, from `common/reconstruction/methods`, anew whenever a case is looked at.
    """

    network: Entry = field(default_factory=lambda: Entry("unet"))
    prior: Entry | None = None
    method: Entry = field(default_factory=lambda: Entry("fista", {"iterations": 30}))
    prior_weight: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        NETWORKS.build(self.network)
        METHODS.build(self.method)
        non_negative("task", prior_weight=self.prior_weight)
        if self.prior is not None:
            REGULARISERS.build(self.prior)

    def inverse(self, linear: LinearMap, measured: Tensor) -> Tensor:
        """(N, C, *S) what the network is shown."""
        if self.prior is None:
            return first_image(linear, measured)
        solved = reconstruct(linear, measured, method=self.method, prior=self.prior, weight=self.prior_weight)
        return solved.images

    def start(self, inputs: Tensor) -> Tensor:
        """The inverse."""
        measured, linear = self.layout(tuple(inputs.shape[1:])).unpack(inputs)
        return self.inverse(linear, measured)

    def build_network(self, shape: Shape) -> nn.Module:
        """(N, P, *S) to (N, C, *S). Raises StudyError where the network does not fit the images."""
        layout = self.layout(shape.inputs)
        shown = Shape(layout.image_shape, layout.image_shape[0])
        body = build_fitting(self.network, shown, layout.image_shape, "postprocessed")
        return self.with_parts(Mended(layout, self.inverse, body), layout)


class Mended(nn.Module):
    """x0 + network(x0), where x0 is the inverse's image."""

    def __init__(self, layout: Layout, inverse: Callable[[LinearMap, Tensor], Tensor], network: nn.Module) -> None:
        super().__init__()
        self.layout, self.inverse, self.network = layout, inverse, network

    def forward(self, inputs: Tensor) -> Tensor:
        """Images."""
        measured, linear = self.layout.unpack(inputs)
        start = self.inverse(linear, measured)
        frame = Frame.of(start, self.layout.operator.complex_images)
        return start + frame.put_back(self.network(frame.shown(start)))


task: type[Task] = Postprocessed
