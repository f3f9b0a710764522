"""Label-free inversion of one case: features at the narrow part of a network in closed form, then an image for them.

Where a convolution has as many output channels as its input has places, the gradient of its weights alone tells that
input (`_convolution_inputs`): the deepest level of a U-Net is such a layer, and so is the last one of many
classifiers. In a U-Net the layer behind it that joins the shortcut then tells the shortcut's features as well
(`_skipped_features`), at twice the resolution. Neither needs to know an outline or a label. What is left is to find
an image that has these features (Mahendran and Vedaldi 2015, Understanding Deep Image Representations by Inverting
Them, equations 1 and 4): descent from noise under total variation that fades away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.study.checks import non_negative, positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam
from experiments.attacks.inversion.inverting import finding, problem_of
from experiments.attacks.inversion.layers import layers_in_order
from experiments.attacks.inversion.leaky_relu import Softened
from experiments.attacks.inversion.priors import beyond_deviations, relative_total_variation
from experiments.attacks.inversion.problem import Attempt, InversionProblem
from experiments.attacks.inversion.recovered_features import LARGEST_DOUBT, Told, told_by
from experiments.attacks.inversion.updates import captured_updates, obstacle
from experiments.attacks.matching import warm_then_cosine
from experiments.evidence.budget import Budget
from experiments.observation import Observation

LEAKS_UNTIL = 0.6
"""Of the way: from here on ReLUs are what they are."""


@dataclass(frozen=True)
class Bottleneck:
    """turns, starts: of every turn but the last so many descents begin near the mean of those of the turn before, and
    their mean goes on; the last is one. iterations: of Adam in a descent. learning_rate: its step, in units of the
    inputs. prior: weight of total variation in the first turn; fades: what a turn leaves of it to the next; last:
    what is left of it at the end of a descent. leak: of ReLUs in the first turn. noise: deviation of the starts
    about the mean. beyond: weight of values further than so many `deviations` from the image's mean. lowest,
    highest: range the inputs are kept in. updates: how many are attacked, of one case each.

    deviations: how far from the image's mean values cost nothing, in standard deviations; see beyond.
    """

    sees: ClassVar[Sees] = "each"
    source: ClassVar[str] = "own closed form of a convolution's input; Mahendran and Vedaldi 2015"
    called: ClassVar[str] = "reading a narrow layer backwards"
    words: ClassVar[str] = "computes what a narrow layer saw of a case, and searches for an image that gives it"
    share: ClassVar[float] = 16.0
    elsewhere: ClassVar[float] = 10.0

    turns: int = 5
    starts: int = 4
    iterations: int = 800
    learning_rate: float = 0.05
    prior: float = 1.0
    fades: float = 0.5
    last: float = 0.1
    leak: float = 0.6
    noise: float = 0.2
    deviations: float = 2.2
    beyond: float = 10.0
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1

    def __post_init__(self) -> None:
        positive("attack", turns=self.turns, starts=self.starts, iterations=self.iterations, updates=self.updates)
        positive("attack", learning_rate=self.learning_rate, prior=self.prior, fades=self.fades, last=self.last)
        non_negative("attack", leak=self.leak, noise=self.noise, deviations=self.deviations, beyond=self.beyond)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs that have the features which the gradient tells."""
        budget, generator = Budget(budget_seconds), torch.Generator().manual_seed(int(rng.integers(2**62)))
        captured = captured_updates(observed)[: self.updates]
        if reason := obstacle(observed, captured):
            return self._impossible(observed, reason)
        attempts = []
        for index, one in enumerate(captured):
            if one.cases > 1:
                return self._impossible(observed, "an update rests on several cases; it takes one of a single case")
            problem = problem_of(observed, one, 1, generator)
            here = problem.on(torch.device("cpu"))
            told = told_by(here, layers_in_order(here.victim.network, observed.shape))
            if told is None:
                return self._impossible(observed, "no convolution has as many channels as its input has places")
            if told.doubt > LARGEST_DOUBT:
                return self._impossible(observed, "the gradient of its narrow convolution does not tell one input")
            told, share = told.on(problem.victim.device), budget.part(1 / (len(captured) - index))
            attempts.append(self.invert(problem, told, generator, share))
        return finding("bottleneck", observed, captured, attempts, budget.spent, asdict(self))

    def invert(self, problem: InversionProblem, told: Told, generator: torch.Generator, budget: Budget) -> Attempt:
        """An image whose features are near those told. distance: of the features, relative and squared.

        Descents from several starts end in several images that agree where the features are telling: their mean is
        nearer to the truth than any of them.
        """
        runs = [self.starts] * (self.turns - 1) + [1]
        mean, left = torch.zeros(problem.inputs), sum(runs)
        for turn, starts in enumerate(runs):
            found = []
            for _ in range(starts):
                noise = self.noise * torch.randn(problem.inputs, generator=generator) if starts > 1 else 0
                found.append(self._descended(problem, told, mean + noise, turn, budget.part(1 / left)))
                left -= 1
            mean = torch.stack(found).mean(0)
        uniform = torch.full(problem.truth, 1 / max(1, problem.truth[1]))
        victim = problem.victim
        distance = told.mismatch(victim.network, mean.to(victim.device)).item()
        return Attempt(mean, uniform, distance, self.starts)

    def _descended(self, problem: InversionProblem, told: Told, start: Tensor, turn: int, budget: Budget) -> Tensor:
        inputs = start.to(problem.victim.device, copy=True).requires_grad_(True)
        softened = Softened(problem.victim.network)
        leak = self.leak if turn == 0 else 0.0
        prior: float = self.prior * self.fades**turn

        def objective(progress: float) -> Tensor:
            softened.leak(leak * max(0.0, 1 - progress / LEAKS_UNTIL))
            weight: float = prior * self.last**progress
            unlikely = self.beyond * beyond_deviations(inputs, self.deviations).mean()
            smooth = weight * relative_total_variation(inputs).mean()
            return told.mismatch(softened.network, inputs) + smooth + unlikely

        adam(
            objective,
            [inputs],
            self.iterations,
            budget,
            rate=self.learning_rate,
            schedule=warm_then_cosine,
            sign="none",
            box=(self.lowest, self.highest),
        )
        return inputs.detach().cpu()

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("bottleneck", observed.observer, False, reason, settings=asdict(self))


attack: type[Attack] = Bottleneck
