"""What tasks share that tell views of one case from those of others: views, a projection, scores by comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, Shape
from common.learning.tasks._pretraining import CaseByCase, Pretraining, exactly, one_by_one
from common.selfsupervision.drawn_views import drawn_views, held_views, seen
from common.selfsupervision.encoder import encoder_of, perceptron
from common.selfsupervision.health import sketched
from common.selfsupervision.held import generators_of
from common.study.catalogue import AUGMENTATIONS, NETWORKS
from common.study.checks import WIDEST, sized
from common.study.options import Entry

FIRST, SECOND = VIEWS = ("first_view", "second_view")
MOST_COMPARED = 2048
"""Cases in a score: of a hospital that scores more, each is compared with those of its own block."""


@dataclass(frozen=True)
class Contrasted(CaseByCase):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. projection: numbers that the loss compares, behind a layer as wide as the
    features.
    """

    views: ClassVar[tuple[str, ...]] = VIEWS
    watched: ClassVar[tuple[str, ...]] = ("spread", "projection_spread")
    couples: ClassVar[bool] = True
    scored_whole: ClassVar[bool] = True

    network: Entry = field(default_factory=lambda: Entry("groupnorm_cnn"))
    augmentation: Entry = field(default_factory=lambda: Entry("grey"))
    projection: int = 64

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        AUGMENTATIONS.build(self.augmentation)
        sized("task", WIDEST, projection=self.projection)

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder` and `projector`."""
        encoder = encoder_of(self.network, shape)
        projector = perceptron(encoder.width, encoder.width, self.projection)
        return Pretraining(encoder.network, projector=projector)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, what makes two views of each case."""
        return batch.with_columns(**drawn_views(self.augmentation, batch.inputs, VIEWS, rng))

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Of views that follow from each case alone, in float64: what is compared, the features, and a number that
        says where in the order of comparison a case comes.
        """
        exact, inputs = exactly(network, batch.inputs)
        with torch.no_grad():
            first, second = self.projected(exact, inputs, batch)
            places = [rng.random() for rng in generators_of(batch.inputs, "order of comparison")]
            order = torch.tensor(places, dtype=torch.float64, device=first.device)
            return {FIRST: first, SECOND: second, "features": exact(inputs), "order": order}

    def judged_each(self, answered: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Each case against all others, or of very many against those of its block: see `_blocks`.

        A case that has nobody to be compared with has no loss.
        """
        explained = torch.full_like(answered["order"], torch.nan)
        losses = explained.clone()
        for block in _blocks(answered["order"]):
            if len(block) > 1:
                losses[block] = self.compared(answered[FIRST][block], answered[SECOND][block])
                explained[block] = 1 - losses[block] / self.trivial(len(block))
        moments = sketched(answered["features"], projection=answered[FIRST])
        return {"explained": explained.float(), "loss": losses.float(), **moments}

    def projected(self, network: nn.Module, inputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(N, projection) of both views."""
        drawn = held_views(self.augmentation, batch, VIEWS)
        images = torch.cat([seen(self.augmentation, inputs, drawn[name]) for name in VIEWS])
        first, second = network.get_submodule("projector")(one_by_one(network, images, len(VIEWS))).chunk(2)
        return first, second

    def compared(self, first: Tensor, second: Tensor) -> Tensor:
        """(N,) the loss of projected views, without any draw."""
        raise NotImplementedError

    def trivial(self, count: int) -> float:
        """The loss of so many cases whose projections are all one."""
        raise NotImplementedError


def _blocks(order: Tensor) -> tuple[Tensor, ...]:
    """As few as MOST_COMPARED allows, of almost one size. Who is with whom follows from the cases alone."""
    return order.argsort(stable=True).tensor_split(max(1, -(-len(order) // MOST_COMPARED)))
