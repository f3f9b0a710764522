"""BYOL: a student says what its own moving average makes of another view of the case (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from common.data.cases import Shape
from common.learning.task import Task
from common.learning.tasks._pretraining import Pretraining
from common.learning.tasks._taught import GLOBAL_VIEWS, Taught, projected, taught
from common.selfsupervision.distillation import regression_loss
from common.selfsupervision.encoder import encoder_of, perceptron
from common.selfsupervision.probed_centre import centre_of
from common.selfsupervision.teacher import Moments, teacher_of


@dataclass(frozen=True)
class Byol(Taught):
    """The student's projection passes a predictor, which has a layer of `hidden` too."""

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder`, `projector` and `predictor`; `teacher`, of the first two, and `centre`."""
        encoder = encoder_of(self.network, shape)
        projector = perceptron(encoder.width, self.hidden, self.projection)
        moments, centre = self.moments(encoder.width), centre_of(self.centre, self.projection, shape.inputs)
        return Pretraining(
            encoder.network,
            moments=moments,
            projector=projector,
            predictor=perceptron(self.projection, self.hidden, self.projection),
            teacher=teacher_of(encoder=encoder.network, moments=moments, projector=projector),
            centre=Moments(self.projection) if self.standardises else centre,
        )

    def losses(self, network: nn.Module, inputs: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """(N,), from 0 to 8: of both views."""
        images = self.shown(inputs, drawn, GLOBAL_VIEWS)
        first, second = network.get_submodule("predictor")(projected(network, images)).chunk(2)
        of_first, of_second = taught(network, images)
        return regression_loss(first, of_second) + regression_loss(second, of_first)

    def answers(self, network: nn.Module, inputs: Tensor, features: Tensor) -> Tensor:
        """The student's projections."""
        projected: Tensor = network.get_submodule("projector")(features)
        return projected

    def trivial(self) -> float:
        """Of predictions at right angles to what the teacher says."""
        return 4.0


task: type[Task] = Byol
