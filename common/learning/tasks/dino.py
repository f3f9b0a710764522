"""DINO: a student answers what its moving average, sharpened, says of other views of a case (Caron et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.task import Task
from common.learning.tasks._pretraining import Pretraining
from common.learning.tasks._taught import GLOBAL_VIEWS, Taught, projected, taught
from common.selfsupervision.distillation import cross_entropy_of_views, sharpened
from common.selfsupervision.drawn_views import seen
from common.selfsupervision.encoder import encoder_of, perceptron
from common.selfsupervision.probed_centre import centre_of
from common.selfsupervision.prototypes import Prototypes
from common.selfsupervision.teacher import teacher_of
from common.selfsupervision.warps import side_of
from common.study.catalogue import AUGMENTATIONS
from common.study.checks import WIDEST, between, non_negative, positive, sized
from common.study.options import Entry

MOST_LOCAL = 16


@dataclass(frozen=True)
class Dino(Taught):
    """prototypes: numbers that are answered (K), by similarity to K directions of the projection. temperature: of
    the student. teacher_temperature: the lower, the surer the teacher.

    local_crops: views of the student alone, beside the two that the teacher sees as well. local_augmentation: what
    makes them, of small parts of an image. local_side: their sides, as a share of an image's; 1 where the network
    takes one size alone.
    """

    momentum: float = 0.97
    prototypes: int = 64
    temperature: float = 0.1
    teacher_temperature: float = 0.01
    local_crops: int = 0
    local_augmentation: Entry = field(
        default_factory=lambda: Entry("grey", {"smallest_crop": 0.1, "largest_crop": 0.3})
    )
    local_side: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        AUGMENTATIONS.build(self.local_augmentation)
        sized("task", WIDEST, prototypes=self.prototypes)
        positive("task", temperature=self.temperature, teacher_temperature=self.teacher_temperature)
        non_negative("task", local_crops=self.local_crops)
        between("task", 0, MOST_LOCAL, local_crops=self.local_crops)
        between("task", 0.05, 1, local_side=self.local_side)

    @property
    def views(self) -> tuple[str, ...]:
        """Global, then local ones."""
        return *GLOBAL_VIEWS, *self._local_views

    @property
    def augmentations(self) -> Mapping[str, Entry]:
        """What makes each view."""
        return {**super().augmentations, **dict.fromkeys(self._local_views, self.local_augmentation)}

    def build_network(self, shape: Shape) -> nn.Module:
        """`encoder`, `projector` and `prototypes`; `teacher`, of all three, and `centre`."""
        encoder = encoder_of(self.network, shape)
        if self.local_crops:
            self._refuse_one_size(encoder.network, shape)
        parts: dict[str, nn.Module] = {
            "moments": self.moments(encoder.width),
            "projector": perceptron(encoder.width, self.hidden, self.projection),
            "prototypes": Prototypes(self.projection, self.prototypes),
        }
        teacher = teacher_of(encoder=encoder.network, **parts)
        return Pretraining(
            encoder.network, **parts, teacher=teacher, centre=centre_of(self.centre, self.prototypes, shape.inputs)
        )

    def losses(self, network: nn.Module, inputs: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """(N,) nats."""
        images = self.shown(inputs, drawn, GLOBAL_VIEWS)
        probabilities = [sharpened(one, self.teacher_temperature) for one in taught(network, images)]
        answered = [*_answered(network, images, len(GLOBAL_VIEWS)).chunk(2)]
        if self.local_crops:
            answered += _answered(network, self._local(inputs, drawn), self.local_crops).chunk(self.local_crops)
        return cross_entropy_of_views(probabilities, answered, self.temperature)

    def answers(self, network: nn.Module, inputs: Tensor, features: Tensor) -> Tensor:
        """The teacher's probabilities: at ln K even for all cases, and where one prototype has all, one for all."""
        centred = network.get_submodule("centre")(network.get_submodule("teacher")(inputs))
        return sharpened(centred, self.teacher_temperature)

    def trivial(self) -> float:
        """Of answers that are all alike."""
        return log(self.prototypes)

    @property
    def _local_views(self) -> tuple[str, ...]:
        return tuple(f"local_view_{number + 1}" for number in range(self.local_crops))

    def _local(self, inputs: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        size = side_of(tuple(inputs.shape[2:]), self.local_side)
        return torch.cat([seen(self.local_augmentation, inputs, drawn[name], size) for name in self._local_views])

    def _refuse_one_size(self, encoder: nn.Module, shape: Shape) -> None:
        size = side_of(tuple(shape.inputs[1:]), self.local_side)
        try:
            with torch.no_grad():
                encoder(torch.zeros(1, shape.inputs[0], *size))
        except (RuntimeError, TypeError, ValueError, LookupError, StudyError) as error:
            raise StudyError(
                f"network {self.network.name!r} cannot take local crops of {size} pixels: {first_line(error)}. "
                "Set task.local_side = 1, or another share of an image's sides."
            ) from error


def _answered(network: nn.Module, images: Tensor, views: int) -> Tensor:
    answers: Tensor = network.get_submodule("prototypes")(projected(network, images, views))
    return answers


task: type[Task] = Dino
