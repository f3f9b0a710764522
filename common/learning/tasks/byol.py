"""BYOL: a student says what its own moving average makes of another view of the case (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.learning.task import Task
from common.learning.tasks._pretraining import Pretraining, Unlabelled, exactly, pretraining_scores
from common.selfsupervision.distillation import regression_loss
from common.selfsupervision.drawn_views import drawn_views, held_views, seen
from common.selfsupervision.encoder import encoder_of, perceptron
from common.selfsupervision.probed_centre import CentreKind, centre_of, move_centre
from common.selfsupervision.teacher import move_teacher, teacher_of
from common.study.catalogue import AUGMENTATIONS, NETWORKS
from common.study.checks import WIDEST, between, one_of, sized
from common.study.options import Entry
from common.sums.mean import Mean

VIEWS = ("first_view", "second_view")
UNRELATED = 4.0
"""The loss where predictions are at right angles to what the teacher says of either view."""


@dataclass(frozen=True)
class Byol(Unlabelled):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. projection: numbers that are predicted, behind a layer of `hidden`; the
    predictor has one too. momentum: what the teacher keeps of itself in a step (tau). centre_momentum: the same of
    the mean of what it says, which is taken from that. centre: of what it says of "cases", or of images of "noise",
    which no person moves: privacy for one patient needs that (`common.selfsupervision.probed_centre`).
    """

    views: ClassVar[tuple[str, ...]] = VIEWS
    companion: ClassVar[tuple[str, ...]] = ("teacher", "centre")
    private_options: ClassVar[Mapping[str, object]] = {"centre": "noise"}

    network: Entry = field(default_factory=lambda: Entry("groupnorm_cnn"))
    augmentation: Entry = field(default_factory=lambda: Entry("grey"))
    projection: int = 64
    hidden: int = 128
    momentum: float = 0.99
    centre_momentum: float = 0.9
    centre: CentreKind = "cases"

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        AUGMENTATIONS.build(self.augmentation)
        sized("task", WIDEST, projection=self.projection, hidden=self.hidden)
        one_of("task", ("cases", "noise"), centre=self.centre)
        between("task", 0, 1, momentum=self.momentum, centre_momentum=self.centre_momentum)

    @property
    def follows_parameters(self) -> bool:
        """Whether no case moves teacher or centre."""
        return self.centre == "noise"

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder`, `projector` and `predictor`; `teacher`, of the first two, and `centre`."""
        encoder = encoder_of(self.network, shape)
        projector = perceptron(encoder.width, self.hidden, self.projection)
        return Pretraining(
            encoder.network,
            projector=projector,
            predictor=perceptron(self.projection, self.hidden, self.projection),
            teacher=teacher_of(encoder=encoder.network, projector=projector),
            centre=centre_of(self.centre, self.projection, shape.inputs),
        )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32, from 0 to 8, of both views."""
        return self._losses(network, batch.inputs, batch)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Of views that follow from each case alone."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            return pretraining_scores(self._losses(exact.eval(), inputs, batch), UNRELATED, exact(inputs))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, what makes two views of each case."""
        return batch.with_columns(**drawn_views(self.augmentation, batch.inputs, VIEWS, rng))

    def follow(self, network: nn.Module) -> None:
        """The teacher and the centre, a little of the way."""
        move_teacher(network, self.momentum)
        move_centre(network, self.centre_momentum)

    def _losses(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        drawn = held_views(self.augmentation, batch, VIEWS)
        images = torch.cat([seen(self.augmentation, inputs, drawn[name]) for name in VIEWS])
        projected = network.get_submodule("projector")(network(images))
        first, second = network.get_submodule("predictor")(projected).chunk(2)
        with torch.no_grad():
            taught = network.get_submodule("centre")(network.get_submodule("teacher")(images))
        of_first, of_second = taught.chunk(2)
        return regression_loss(first, of_second) + regression_loss(second, of_first)


task: type[Task] = Byol
