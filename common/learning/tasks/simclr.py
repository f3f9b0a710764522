"""SimCLR: two views of a case are told from all views of other cases (Chen et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from torch import Tensor, nn

from common.data.cases import Batch
from common.learning.task import Task
from common.learning.tasks._contrasted import Contrasted
from common.selfsupervision.contrast import nt_xent
from common.study.checks import between

LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 1e-3, 1e3
"""Between them float32 tells the loss; beyond the most alike pair decides alone, or none does."""


@dataclass(frozen=True)
class SimClr(Contrasted):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. projection: numbers that the loss compares, behind a layer as wide as the
    features. temperature: tau; the smaller, the more the loss is of the most alike cases.
    """

    temperature: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        between("task", LEAST_TEMPERATURE, LARGEST_TEMPERATURE, temperature=self.temperature)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32 nats."""
        return self.compared(*self.projected(network, batch.inputs, batch))

    def compared(self, first: Tensor, second: Tensor) -> Tensor:
        """Equation 1."""
        return nt_xent(first, second, self.temperature)

    def trivial(self, count: int) -> float:
        """Of 2 N - 1 views, each as probable."""
        return log(2 * count - 1)


task: type[Task] = SimClr
