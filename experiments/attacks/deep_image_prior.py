"""Gradient matching within what an untrained decoder can draw: a deep image prior instead of total variation.

Ulyanov, Vedaldi and Lempitsky 2018, Deep Image Prior (CVPR): a convolutional network fitted to explain a measurement
from fixed noise finds natural images before it finds noise. Its weights in place of pixels, for gradients: Jeon, Lee,
Oh and Ok 2021, Gradient Inversion with Generative Image Prior (NeurIPS), section 4, without a pretrained generator.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.errors import StudyError
from common.study.checks import positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam
from experiments.attacks.inversion.distances import cosine_distance
from experiments.attacks.inversion.inverting import Limits, invert
from experiments.attacks.inversion.problem import Attempt, InversionProblem, best_of_restarts
from experiments.attacks.inversion.untrained import GROUPS, Decoder
from experiments.attacks.matching import warm_then_cosine
from experiments.evidence.budget import Budget
from experiments.observation import Observation


@dataclass(frozen=True)
class DeepImagePrior:
    """iterations: of Adam in each restart. learning_rate: its step, on the decoder's weights. width: channels of the
    decoder. restarts: from other noise; the smallest cosine distance counts. lowest, highest: range of the inputs.
    updates: how many are attacked. largest_batch: most inputs at once.
    """

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Ulyanov et al. 2018, Deep Image Prior (CVPR); Jeon et al. 2021 (NeurIPS)"
    called: ClassVar[str] = "matching by an untrained network"
    words: ClassVar[str] = "searches for an image that gives the update, only as an untrained network can draw one"
    share: ClassVar[float] = 3.0
    elsewhere: ClassVar[float] = 0.0

    iterations: int = 1000
    learning_rate: float = 0.01
    width: int = 32
    restarts: int = 1
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, learning_rate=self.learning_rate, restarts=self.restarts)
        positive("attack", width=self.width, updates=self.updates, largest_batch=self.largest_batch)
        if self.width % GROUPS:
            raise StudyError(f"attack.width must be a multiple of {GROUPS}, got {self.width}.")

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Images an untrained decoder draws whose gradient points as the captured one."""
        if len(observed.shape.inputs) not in (3, 4):
            reason = "cases are rows of a table, and only images have a deep image prior"
            return Finding("deep_image_prior", observed.observer, False, reason, settings=asdict(self))
        limits = Limits(self.updates, self.largest_batch)
        return invert("deep_image_prior", observed, rng, budget_seconds, limits, self.search, asdict(self))

    def search(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        """The best of the restarts."""
        return best_of_restarts(problem, generator, budget, self.restarts, self._once)

    def _once(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        decoder = Decoder.of(problem.inputs, self.width, generator, problem.victim.device)
        believed = problem.guess(torch.zeros(problem.inputs), generator)

        def images() -> Tensor:
            return self.lowest + (self.highest - self.lowest) * decoder.images().sigmoid()

        def distance(progress: float) -> Tensor:
            return cosine_distance(problem.victim.gradient(images(), believed.truth), problem.captured)

        adam(
            distance,
            [*decoder.unknowns, *believed.unknowns[1:]],
            self.iterations,
            budget,
            rate=self.learning_rate,
            schedule=warm_then_cosine,
            sign="none",
        )
        return Attempt(images().detach().cpu(), believed.truth.detach().cpu(), distance(1.0).item())


attack: type[Attack] = DeepImagePrior
