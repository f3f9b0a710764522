"""Triplet loss: of each case one view is nearer to the other view than to a view of another case, by a margin.

Schroff, Kalenichenko and Philbin 2015 (FaceNet), equation 3, with views of one case in the place of one person's
photographs. What is compared is of unit length, as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from common.data.cases import Batch
from common.learning.task import Task
from common.learning.tasks._contrasted import VIEWS, Contrasted
from common.seeding import case_generators
from common.selfsupervision.contrast import Negatives, triplet
from common.study.checks import one_of, positive

OTHER = "other_case"


@dataclass(frozen=True)
class Triplet(Contrasted):
    """network: whose last layer is left out, from `common/learning/networks`. augmentation: what makes views, from
    `common/selfsupervision/augmentations`. projection: numbers that the loss compares, behind a layer as wide as the
    features; they are made of unit length. margin: by how much another case must be farther, of squared distances,
    which are 4 at most. negatives: which other case of the batch: "random", one that is drawn; "all", the mean over
    all; "semi_hard", the nearest that is farther than the own other view; "hardest", the nearest.

    In scores "random" is the mean over all: no draw decides a score.
    """

    views: ClassVar[tuple[str, ...]] = (*VIEWS, OTHER)

    margin: float = 0.5
    negatives: Negatives = "semi_hard"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("task", margin=self.margin)
        one_of("task", get_args(Negatives), negatives=self.negatives)

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, what makes two views of each case, and a number that says which other case it meets."""
        seen = super().augment(batch, rng)
        others = [one.random() for one in case_generators(rng, len(batch))]
        return seen.with_columns(**{OTHER: torch.tensor(others, dtype=torch.float64, device=batch.inputs.device)})

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32."""
        first, second = self.projected(network, batch.inputs, batch)
        drawn = batch.tensor(OTHER) if OTHER in batch.columns and self.negatives == "random" else None
        return self._losses(first, second, drawn)

    def compared(self, first: Tensor, second: Tensor) -> Tensor:
        """Without a draw."""
        return self._losses(first, second, None)

    def trivial(self, count: int) -> float:
        """All distances are 0."""
        return self.margin

    def _losses(self, first: Tensor, second: Tensor, drawn: Tensor | None) -> Tensor:
        return triplet(normalize(first, dim=1), normalize(second, dim=1), self.margin, self.negatives, drawn)


task: type[Task] = Triplet
