"""Gradient matching among cases such as public ones are: a decoder learned from them, then single values.

Jeon, Lee, Oh and Ok 2021, Gradient Inversion with Generative Image Prior (NeurIPS), and Li, Zhang, Liu and Liu 2022,
Auditing Privacy Defenses in Federated Learning via Generative Gradient Leakage (CVPR): search what a generator that
was trained on public images draws, then move beyond what it can draw. Here the generator is linear (`public_prior`),
which takes a second in the place of hours, and what lies beyond has a prior of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.learning.abilities import can
from common.study.checks import non_negative, positive
from experiments.access import Need
from experiments.attack import UNTRIED, Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam, lbfgs
from experiments.attacks.inversion.differentiable_client import Parts
from experiments.attacks.inversion.distances import cosine_distance, relative_squared_distance
from experiments.attacks.inversion.inverting import Limits, invert
from experiments.attacks.inversion.problem import Attempt, Guess, InversionProblem
from experiments.attacks.inversion.public_prior import PublicPrior
from experiments.attacks.matching import (
    features_of_last_layer,
    is_smooth,
    last_linear,
    warm_then_cosine,
    watched,
)
from experiments.evidence.budget import Budget
from experiments.observation import Observation

FEWEST = 2
START = 0.1
OF_INPUTS = "it knows which inputs are likely, and here images are guessed, from which inputs follow"
LATENT, VALUES = 0.25, 0.25
"""Shares of the seconds: of the search for what the decoder draws, and of that beyond it where L-BFGS follows."""


@dataclass(frozen=True)
class LearnedPrior:
    """components: of the decoder, at most. iterations: of Adam, in each of its two searches. learning_rate: its step,
    in standard deviations of public cases. prior: weight of how unlike them a guess is, fading; lasting: what does
    not fade of it, for each case beyond the first; polish_prior: in L-BFGS, used where every layer is smooth.
    features: weight of what the last layer saw. updates: how many are attacked. largest_batch: most inputs at once.
    polish_iterations: the most that L-BFGS takes.
    """

    sees: ClassVar[Sees] = "sum"
    needs: ClassVar[tuple[Need, ...]] = ("public",)
    source: ClassVar[str] = "Jeon et al. 2021 (NeurIPS); Li et al. 2022 (CVPR); Tipping and Bishop 1999"
    called: ClassVar[str] = "matching among likely cases"
    words: ClassVar[str] = "searches for cases that give the update among such as public cases are"
    share: ClassVar[float] = 6.0
    elsewhere: ClassVar[float] = 0.0

    components: int = 256
    iterations: int = 1000
    learning_rate: float = 0.05
    prior: float = 0.01
    lasting: float = 0.03
    polish_prior: float = 1e-4
    polish_iterations: int = 2000
    features: float = 0.1
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", components=self.components, iterations=self.iterations, updates=self.updates)
        positive("attack", learning_rate=self.learning_rate, largest_batch=self.largest_batch)
        positive("attack", polish_iterations=self.polish_iterations)
        non_negative("attack", prior=self.prior, polish_prior=self.polish_prior, features=self.features)
        non_negative("attack", lasting=self.lasting)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Likely inputs whose gradient matches the captured one; which are likely, public cases say."""
        budget = Budget(budget_seconds)
        public = observed.access.public
        if public is None or len(public) < FEWEST:
            reason = "no public set was named" if public is None else f"the public set has {len(public)} case"
            return Finding("learned_prior", observed.observer, False, reason, settings=asdict(self))
        if can(observed.study.build_task(), "imagined"):
            return Finding(
                "learned_prior", observed.observer, False, OF_INPUTS, settings={UNTRIED: True, **asdict(self)}
            )
        prior = PublicPrior.of(public.inputs, self.components, rng)

        def search(problem: InversionProblem, generator: torch.Generator, part: Budget) -> Attempt:
            return self.search(problem, prior, generator, part)

        settings = {**asdict(self), "public_cases": len(public)}
        limits = Limits(self.updates, self.largest_batch)
        return invert("learned_prior", observed, rng, budget.left, limits, search, settings)

    def search(
        self, problem: InversionProblem, prior: PublicPrior, generator: torch.Generator, budget: Budget
    ) -> Attempt:
        """First in what the decoder draws, then in single values too."""
        likely = _Likely.of(problem, prior, generator)
        smooth = is_smooth(problem.victim.network)
        later = budget.part(VALUES / (1 - LATENT)) if smooth else budget
        self._descend(problem, likely, [likely.latent, *likely.labels], budget.part(LATENT), 0.0)
        self._descend(problem, likely, likely.unknowns, later, self.lasting * (problem.inputs[0] - 1))
        if smooth:
            problem = problem.precise()
            likely = likely.to(problem)
            lbfgs(
                lambda: likely.mismatch(problem) + self.polish_prior * likely.strangeness(),
                likely.unknowns,
                self.polish_iterations,
                budget,
            )
        found = Guess(likely.inputs(), likely.believed.truth)
        return Attempt.of(found, likely.mismatch(problem).item())

    def _descend(
        self, problem: InversionProblem, likely: _Likely, unknowns: Sequence[Tensor], budget: Budget, lasting: float
    ) -> None:
        """By Adam, until the gradient of the cases points as the captured one. lasting: of the prior, what stays."""
        seen = features_of_last_layer(problem) if self.features else None
        with watched(last_linear(problem.victim.network)) as shown:

            def objective(progress: float) -> Tensor:
                value = cosine_distance(likely.gradient(problem), problem.captured)
                value = value + (self.prior * (1 - progress) + lasting) * likely.strangeness()
                if seen is not None:
                    value = value + self.features * (shown[-1] - seen).square().mean()
                return value

            adam(
                objective,
                unknowns,
                self.iterations,
                budget,
                rate=self.learning_rate,
                schedule=warm_then_cosine,
                sign="none",
            )


@dataclass(frozen=True)
class _Likely:
    """Cases that are guessed, in standard deviations of public ones. latent: (N, k). beyond: (N, D), zero at first.

    believed: their labels; its inputs are not looked at.
    """

    prior: PublicPrior
    latent: Tensor
    beyond: Tensor
    believed: Guess
    shape: tuple[int, ...]

    @classmethod
    def of(cls, problem: InversionProblem, prior: PublicPrior, generator: torch.Generator) -> _Likely:
        """Near the mean of public cases, where all are likely, and no two alike."""
        device, dtype = problem.victim.device, problem.victim.dtype
        cases, components = problem.inputs[0], prior.weights.shape[1]
        latent = (START * torch.randn((cases, components), generator=generator)).to(device, dtype)
        beyond = torch.zeros((cases, len(prior.mean)), device=device, dtype=dtype)
        believed = problem.guess(torch.zeros(problem.inputs), generator)
        unknown = latent.requires_grad_(True), beyond.requires_grad_(True)
        return cls(prior.to(device, dtype), *unknown, believed, problem.inputs)

    def to(self, problem: InversionProblem) -> _Likely:
        """A copy, in the numbers of this problem, to be moved on."""
        device, dtype = problem.victim.device, problem.victim.dtype
        latent, beyond = (
            one.detach().to(dtype, copy=True).requires_grad_(True) for one in (self.latent, self.beyond)
        )
        return _Likely(self.prior.to(device, dtype), latent, beyond, self.believed.to(dtype), self.shape)

    @property
    def labels(self) -> list[Tensor]:
        """Logits that are moved too, where labels are not known."""
        return self.believed.unknowns[1:]

    @property
    def unknowns(self) -> list[Tensor]:
        return [self.latent, self.beyond, *self.labels]

    def inputs(self) -> Tensor:
        return self.prior.drawn(self.latent, self.beyond).reshape(self.shape)

    def strangeness(self) -> Tensor:
        """How far from all public cases; about 2 on the mean of them."""
        return self.latent.square().mean() + self.beyond.square().mean()

    def gradient(self, problem: InversionProblem) -> Parts:
        return problem.victim.gradient(self.inputs(), self.believed.truth)

    def mismatch(self, problem: InversionProblem) -> Tensor:
        return relative_squared_distance(self.gradient(problem), problem.captured)


attack: type[Attack] = LearnedPrior
