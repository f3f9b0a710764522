"""SimCLR: two views of a case are told from all views of other cases (Chen et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.learning.task import Task
from common.learning.tasks._pretraining import Pretraining, Unlabelled, exactly, pretraining_scores
from common.selfsupervision.contrast import nt_xent
from common.selfsupervision.drawn_views import drawn_views, held_views, seen
from common.selfsupervision.encoder import encoder_of, perceptron
from common.study.catalogue import AUGMENTATIONS, NETWORKS
from common.study.checks import WIDEST, positive, sized
from common.study.options import Entry
from common.sums.mean import Mean

VIEWS = ("first_view", "second_view")


@dataclass(frozen=True)
class SimClr(Unlabelled):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. temperature: tau; the smaller, the more the loss is of the most alike
    cases. projection: numbers that the loss compares, behind a layer as wide as the features.
    """

    views: ClassVar[tuple[str, ...]] = VIEWS
    couples: ClassVar[bool] = True
    scored_whole: ClassVar[bool] = True

    network: Entry = field(default_factory=lambda: Entry("groupnorm_cnn"))
    augmentation: Entry = field(default_factory=lambda: Entry("grey"))
    temperature: float = 0.2
    projection: int = 64

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        AUGMENTATIONS.build(self.augmentation)
        positive("task", temperature=self.temperature)
        sized("task", WIDEST, projection=self.projection)

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder` and `projector`."""
        encoder = encoder_of(self.network, shape)
        projector = perceptron(encoder.width, encoder.width, self.projection)
        return Pretraining(encoder.network, projector=projector)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 nats."""
        return self._losses(network, batch.inputs, batch)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Of views that follow from each case alone, against all other cases that the hospital scores."""
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            losses = self._losses(exact, inputs, batch)
            return pretraining_scores(losses, log(max(2, 2 * len(batch) - 1)), exact(inputs))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, what makes two views of each case."""
        return batch.with_columns(**drawn_views(self.augmentation, batch.inputs, VIEWS, rng))

    def _losses(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        drawn = held_views(self.augmentation, batch, VIEWS)
        images = torch.cat([seen(self.augmentation, inputs, drawn[name]) for name in VIEWS])
        first, second = network.get_submodule("projector")(network(images)).chunk(2)
        return nt_xent(first, second, self.temperature)


task: type[Task] = SimClr
