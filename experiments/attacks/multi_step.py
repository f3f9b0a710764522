"""Inversion of a whole local training: its steps are simulated, and inputs are moved until they make its change.

The multi-step variant of Geiping et al. 2020, Inverting Gradients, section 6; simulated steps as in Dimitrov et al.
2022, Data Leakage in Federated Averaging (TMLR). The order of the batches is drawn from the study's seed, which all
who take part know, so it is simulated too. New here: steps of Adam (Kingma and Ba 2015) and AdamW (Loshchilov and
Hutter 2019) are inverted as well. Such a step is nearly the sign of the gradient: one bit of every parameter, which
is plenty where there are more parameters than pixels, but flat in the inputs. So the search makes the change with
softened steps, which are followed downhill, and hardens them as it goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.learning.abilities import no_soft_loss
from common.learning.client_work import Training
from common.seeding import generator as named_generator
from common.study.checks import between, non_negative, positive
from common.study.study import Study
from experiments.attack import UNTRIED, Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam
from experiments.attacks.inversion.distances import cosine_distance
from experiments.attacks.inversion.inverting import finding, most_cases, problem_of
from experiments.attacks.inversion.local_steps import not_simulated
from experiments.attacks.inversion.priors import relative_total_variation
from experiments.attacks.inversion.problem import Attempt, Guess, InversionProblem, best_of_restarts, closest
from experiments.attacks.inversion.simulated import Steps
from experiments.attacks.inversion.updates import Captured, captured_updates, local_steps, what_is_seen_instead
from experiments.attacks.matching import Matching, is_smooth, polished, tiled_noise, warm_then_cosine
from experiments.evidence.budget import Budget
from experiments.observation import Observation

Batches = list[NDArray[np.int64]]
REFINED = 0.25
"""Of the learning rate and of the prior, once the steps are simulated."""
SOFTNESS, SOFTNESS_REFINED, POLISHED = (1.0, 0.03), (0.1, 0.03), 0.1
"""Of simulated steps of Adam: from the first to the last of a descent, of a later one, and in L-BFGS."""


@dataclass(frozen=True)
class MultiStep:
    """iterations: of Adam in each restart, before and while steps are simulated. learning_rate: its step, in units of
    the inputs. prior: weight of total variation. start: share of the seconds in which the
    change is taken for that of one step, which costs a step each time instead of all; where every layer is smooth,
    L-BFGS simulates the steps in the share `polish` instead. restarts: the best match counts. most_steps: an update
    of more local steps is not attacked. lowest, highest: range the inputs are kept in. updates: how many are
    attacked. largest_batch: most inputs at once.

    polish: share of the seconds for L-BFGS, where every layer is smooth. polish_prior: weight of total variation
    in it.
    """

    sees: ClassVar[Sees] = "each"
    source: ClassVar[str] = (
        "Geiping et al. 2020, section 6; Dimitrov et al. 2022, Data Leakage in Federated Averaging"
    )
    called: ClassVar[str] = "matching a training of several steps"
    words: ClassVar[str] = "moves images until a hospital's steps, all made again, give the update"
    share: ClassVar[float] = 4.0

    iterations: int = 600
    learning_rate: float = 0.2
    prior: float = 0.1
    polish_prior: float = 0.001
    start: float = 0.7
    polish: float = 0.7
    restarts: int = 1
    most_steps: int = 40
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, learning_rate=self.learning_rate, restarts=self.restarts)
        positive("attack", most_steps=self.most_steps, updates=self.updates, largest_batch=self.largest_batch)
        non_negative("attack", prior=self.prior, polish_prior=self.polish_prior)
        between("attack", 0, 1, start=self.start, polish=self.polish)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs on which local training makes the captured change."""
        captured = [one for one in captured_updates(observed) if len(one.sites) == 1][: self.updates]
        reason = self._obstacle(observed, captured)
        if reason:
            settings = {**asdict(self), **({UNTRIED: True} if captured and self._unknown(observed.study) else {})}
            return Finding("multi_step", observed.observer, False, reason, settings=settings)
        budget = Budget(budget_seconds)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        attempts = []
        for index, one in enumerate(captured):
            problem = problem_of(observed, one, self.largest_batch, generator)
            problem = replace(problem, captured=problem.victim.parts(one.sent))
            batches = batches_of(observed, one)
            mu = next(s.order.work.proximal_mu for s in observed.singles if s.order.work is not None)
            attempts.append(
                self.search(
                    problem,
                    batches,
                    observed.study.training.in_round(one.round),
                    mu,
                    generator,
                    budget.part(1 / (len(captured) - index)),
                )
            )
        return finding("multi_step", observed, captured, attempts, budget.spent, asdict(self))

    @staticmethod
    def _unknown(study: Study) -> str:
        """What of the study's training this attack does not know; empty where it knows all."""
        return no_soft_loss(study.build_task()) or not_simulated(study.training)

    def _obstacle(self, observed: Observation, captured: list[Captured]) -> str:
        """Why this attack cannot be made; empty where it can."""
        if reason := no_soft_loss(observed.study.build_task()):
            return reason
        if not observed.singles and observed.sums:
            return f"sees only sums of {len(observed.sums[0].sites)} hospitals, each trained on its own path"
        if not captured:
            return what_is_seen_instead(observed)
        if captured[0].sends == "gradient":
            return "hospitals send one gradient and take no steps; the attacks on a gradient apply"
        if reason := not_simulated(observed.study.training):
            return reason
        steps, cases = local_steps(observed.study, captured[0].cases), captured[0].cases
        most = most_cases(observed.shape, self.largest_batch)
        if steps > self.most_steps or cases > most:
            return (
                f"the smallest update comes from {cases} cases and {steps} steps; at most {most} cases of this size "
                f"and {self.most_steps} steps are simulated"
            )
        return ""

    def search(
        self,
        problem: InversionProblem,
        batches: Batches,
        training: Training,
        proximal_mu: float,
        generator: torch.Generator,
        budget: Budget,
    ) -> Attempt:
        """The best of the restarts. problem.captured: the change; batches: indices of the inputs of every step."""

        def once(one: InversionProblem, draws: torch.Generator, part: Budget) -> Attempt:
            guess = one.guess(tiled_noise(one.inputs, draws), draws)
            return self._attempt(one, guess, batches, training, proximal_mu, part)

        tried = believed(problem, training)
        parts = (budget.part(1 / remaining) for remaining in range(len(tried), 0, -1))
        attempts = [
            best_of_restarts(one, generator, part, self.restarts, once)
            for one, part in zip(tried, parts, strict=True)
        ]
        return closest(attempts)

    def _attempt(
        self,
        one: InversionProblem,
        guess: Guess,
        batches: Batches,
        training: Training,
        proximal_mu: float,
        budget: Budget,
    ) -> Attempt:
        """From a guess: first as if the change were of one step, then with all of them simulated."""
        smooth = is_smooth(one.victim.network)
        self._begin(one, guess, training, proximal_mu, budget.part(1 - self.polish if smooth else self.start))
        if smooth:
            exact = one.precise()
            steps = Steps(exact, guess.to(exact.victim.dtype), batches, training, proximal_mu)
            polished(lambda: steps.mismatch(POLISHED), steps.guess, self.polish_prior, self.iterations, budget)
        else:
            steps = Steps(one, guess, batches, training, proximal_mu)
            self._descend(steps, REFINED, SOFTNESS_REFINED, budget)
        return Attempt.of(steps.guess, steps.mismatch().item())

    def _begin(
        self, problem: InversionProblem, guess: Guess, training: Training, proximal_mu: float, budget: Budget
    ) -> None:
        """Move the guess until one step on all of it makes nearly the change, as while the model moves little."""
        if training.optimiser == "sgd":
            gradient = replace(problem, captured=tuple(-part for part in problem.captured))
            names = ("iterations", "learning_rate", "prior", "lowest", "highest")
            Matching(**{name: getattr(self, name) for name in names}).descend(gradient, guess, budget)
            return
        together = [np.arange(len(guess.inputs))]
        self._descend(Steps(problem, guess, together, training, proximal_mu), 1.0, SOFTNESS, budget)

    def _descend(self, steps: Steps, scale: float, softness: tuple[float, float], budget: Budget) -> None:
        """Move the guess until the simulated change points as the captured one. scale: of strides and prior."""

        def objective(progress: float) -> Tensor:
            softened = softness[0] * (softness[1] / softness[0]) ** progress
            distance = cosine_distance(steps.change(softened), steps.problem.captured)
            return distance + scale * (1 - progress) * self._prior(steps.guess)

        adam(
            objective,
            steps.guess.unknowns,
            self.iterations,
            budget,
            rate=scale * self.learning_rate,
            schedule=warm_then_cosine,
            sign="soft",
            box=(self.lowest, self.highest),
        )

    def _prior(self, guess: Guess) -> Tensor:
        return self.prior * relative_total_variation(guess.inputs).mean()


def believed(problem: InversionProblem, training: Training) -> list[InversionProblem]:
    """The problem with the labels that were read, and without where these are in doubt.

    How far the last bias moved tells how many cases are of a class; steps of Adam hide all but its sign.
    """
    doubtful = training.optimiser != "sgd" and problem.labels is not None and len(problem.labels) > 1
    return [problem, replace(problem, labels=None)] if doubtful else [problem]


def batches_of(observed: Observation, captured: Captured) -> Batches:
    """Indices of the cases of every local step, drawn by the words that every hospital uses."""
    training, cases = observed.study.training, captured.cases
    rng = named_generator(observed.study.seed, captured.round, captured.sites[0], "training")
    size = cases if training.batch_size == "full" else min(training.batch_size, cases)
    wanted = local_steps(observed.study, cases)
    batches: Batches = []
    while len(batches) < wanted:
        order = np.arange(cases) if size == cases else rng.permutation(cases)
        batches += [order[start : start + size] for start in range(0, cases, size)]
    return batches[:wanted]


attack: type[Attack] = MultiStep
