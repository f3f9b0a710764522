"""What tasks share whose student learns from its own moving average: views, a teacher and a centre that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch
from common.learning.tasks._pretraining import CaseByCase, answer, exactly, one_by_one
from common.selfsupervision.drawn_views import drawn_views, held_views, seen
from common.selfsupervision.probed_centre import CentreKind, move_centre
from common.selfsupervision.teacher import Moments, move_teacher
from common.study.catalogue import AUGMENTATIONS, NETWORKS
from common.study.checks import WIDEST, between, one_of, sized
from common.study.options import Entry

GLOBAL_VIEWS = ("first_view", "second_view")
"""Of which the teacher speaks."""


@dataclass(frozen=True)
class Taught(CaseByCase):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. projection: numbers that stand for a view. hidden: width of the layer
    before them. momentum: what the teacher keeps of itself in a step. centre_momentum: the same of the mean of what
    it says, which is taken from that, lest it say the same of everybody. centre: whether that is of "cases", or of
    images of "noise", which no person moves: privacy for one patient needs those
    (`common.selfsupervision.probed_centre`). standardised: whether features, before they are projected, are taken
    less their moving mean and over their moving spread, in the place of batch normalisation; cases move those, and
    with a centre of noise there are none.
    """

    private_options: ClassVar[Mapping[str, object]] = {"centre": "noise"}
    watched: ClassVar[tuple[str, ...]] = ("spread", "answer_spread")

    network: Entry = field(default_factory=lambda: Entry("groupnorm_cnn", {"standardised": True}))
    augmentation: Entry = field(default_factory=lambda: Entry("grey"))
    projection: int = 64
    hidden: int = 128
    momentum: float = 0.99
    centre_momentum: float = 0.9
    standardised: bool = True
    centre: CentreKind = "cases"

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        AUGMENTATIONS.build(self.augmentation)
        sized("task", WIDEST, projection=self.projection, hidden=self.hidden)
        one_of("task", ("cases", "noise"), centre=self.centre)
        between("task", 0, 1, momentum=self.momentum, centre_momentum=self.centre_momentum)

    @property
    def companion(self) -> tuple[str, ...]:
        """What follows, and is averaged like the model."""
        return ("teacher", "centre", "moments") if self.standardises else ("teacher", "centre")

    @property
    def standardises(self) -> bool:
        """Whether there are moments."""
        return self.standardised and self.centre == "cases"

    @property
    def follows_parameters(self) -> bool:
        """Whether no case moves teacher or centre."""
        return self.centre == "noise"

    @property
    def views(self) -> tuple[str, ...]:
        """Of the teacher, then those of the student alone."""
        return GLOBAL_VIEWS

    @property
    def augmentations(self) -> Mapping[str, Entry]:
        """What makes each view."""
        return dict.fromkeys(GLOBAL_VIEWS, self.augmentation)

    def losses(self, network: nn.Module, inputs: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """(N,). drawn: what makes each view."""
        raise NotImplementedError

    def answers(self, network: nn.Module, inputs: Tensor, features: Tensor) -> Tensor:
        """(N, K) what the loss is of, of whole images: where it is alike for all, the network has collapsed."""
        raise NotImplementedError

    def trivial(self) -> float:
        """The loss of a student that knows nothing of a case."""
        raise NotImplementedError

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        return self.losses(network, batch.inputs, held_views(self.augmentations, batch, self.views))

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Losses of views that follow from each case alone, features and answers, in float64."""
        exact, inputs = exactly(network, batch.inputs)
        drawn = held_views(self.augmentations, batch, self.views)
        with torch.no_grad():
            losses, features = self.losses(exact.eval(), inputs, drawn), exact(inputs)
            return answer(losses, self.trivial(), features, answer=self.answers(exact, inputs, features))

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, what makes the views of each case."""
        return batch.with_columns(**drawn_views(self.augmentations, batch.inputs, self.views, rng))

    def begin(self, network: nn.Module) -> None:
        """The teacher is the student, and nothing is taken from what it says."""
        for name, part in network.get_submodule("teacher").named_children():
            part.load_state_dict(network.get_submodule(name).state_dict())
        for value in network.get_submodule("centre").state_dict().values():
            value.zero_()

    def follow(self, network: nn.Module) -> None:
        """The teacher and the centre, a little of the way."""
        move_teacher(network, self.momentum)
        move_centre(network, self.centre_momentum)
        for name in ("moments", "teacher.moments") if self.standardises else ():
            cast(Moments, network.get_submodule(name)).move(self.centre_momentum)

    def moments(self, width: int) -> nn.Module:
        """Of so many features."""
        return Moments(width) if self.standardises else nn.Identity()

    def shown(self, inputs: Tensor, drawn: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
        """(len(names) * N, ...) views of one size, one after another."""
        return torch.cat([seen(self.augmentations[name], inputs, drawn[name]) for name in names])


def projected(network: nn.Module, images: Tensor, views: int = len(GLOBAL_VIEWS)) -> Tensor:
    """(N, projection) of the student. images: so many views, one after another."""
    features = network.get_submodule("moments")(one_by_one(network, images, views))
    found: Tensor = network.get_submodule("projector")(features)
    return found


def taught(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What the teacher says of both global views, less the centre."""
    with torch.no_grad():
        answers = one_by_one(network.get_submodule("teacher"), images, len(GLOBAL_VIEWS))
        first, second = network.get_submodule("centre")(answers).chunk(2)
    return first, second
