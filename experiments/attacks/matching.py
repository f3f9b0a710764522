"""Our strongest inversion: gradient matching with a prior blind to contrast, then L-BFGS where the network is smooth.

Built from parts of others: cosine distance and total variation (Geiping et al. 2020), a start that repeats a small
random tile (Wei et al. 2020, A Framework for Evaluating Gradient Leakage), differences of colour channels in the
prior (Aström and Schnörr 2016), what the last layer saw, read from its gradient (the "modern" attack of the library
breaching, Geiping et al. 2021-2023), L-BFGS on the squared distance in float64 (Zhu et al. 2019). New here: total
variation is divided by the image's own contrast, since a network with group normalisation hides the contrast from
the gradient and the plain prior flattens the image; the prior fades as the search goes on; and a trace of it stays
in L-BFGS, without which fine detail that the gradient hardly shows is left as the noise the search began with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.learning.parameters import trainable
from common.study.checks import between, non_negative, positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam, lbfgs
from experiments.attacks.inversion.distances import cosine_distance, relative_squared_distance
from experiments.attacks.inversion.inverting import Limits, invert
from experiments.attacks.inversion.priors import relative_total_variation, total_variation
from experiments.attacks.inversion.problem import Attempt, Guess, InversionProblem, best_of_restarts
from experiments.evidence.budget import Budget
from experiments.observation import Observation

KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.MaxPool2d, nn.MaxPool3d, nn.Hardtanh)
WARM_UP = 0.05
PATTERN = 4


@dataclass(frozen=True)
class Matching:
    """iterations: of Adam in each restart. learning_rate: its step, in units of the inputs. prior: weight of total
    variation; outlines: of total variation of the outlines that are searched with an image of a segmentation;
    features: of what the last layer saw. polish: share of the seconds for L-BFGS, used where every layer
    is smooth (after a ReLU the gradient jumps, and L-BFGS stands still); polish_prior: weight of total variation in
    it. restarts: the best match counts. lowest, highest: range the inputs are kept in. updates: how many are
    attacked. largest_batch: most inputs at once.

    polish_iterations: the most that L-BFGS takes.
    """

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Geiping et al. 2020; Wei et al. 2020; Zhu et al. 2019; own contrast-blind prior"
    called: ClassVar[str] = "matching an update"
    words: ClassVar[str] = "moves a random image until a hospital's network gives the update that was seen"
    share: ClassVar[float] = 8.0

    iterations: int = 1000
    learning_rate: float = 0.2
    prior: float = 0.1
    outlines: float = 0.3
    features: float = 0.1
    polish: float = 0.65
    polish_iterations: int = 2000
    polish_prior: float = 0.001
    restarts: int = 1
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, learning_rate=self.learning_rate, restarts=self.restarts)
        positive("attack", polish_iterations=self.polish_iterations, updates=self.updates)
        positive("attack", largest_batch=self.largest_batch)
        non_negative(
            "attack", prior=self.prior, outlines=self.outlines, features=self.features, polish_prior=self.polish_prior
        )
        between("attack", 0, 1, polish=self.polish)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs whose gradient matches the captured one, and that look like images."""
        limits = Limits(self.updates, self.largest_batch)
        return invert("matching", observed, rng, budget_seconds, limits, self.search, asdict(self))

    def search(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        """The best of the restarts."""
        return best_of_restarts(problem, generator, budget, self.restarts, self._once)

    def _once(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        smooth = is_smooth(problem.victim.network)
        guess = problem.guess(tiled_noise(problem.inputs, generator), generator)
        self.descend(problem, guess, budget.part(1 - self.polish) if smooth else budget)
        if smooth:
            problem = problem.precise()
            guess = guess.to(problem.victim.dtype)
            polished(lambda: _mismatch(problem, guess), guess, self.polish_prior, self.polish_iterations, budget)
        return Attempt.of(guess, _mismatch(problem, guess).item())

    def descend(self, problem: InversionProblem, guess: Guess, budget: Budget) -> None:
        """Move the guess by Adam until its gradient points as the captured one, of any length."""
        seen = features_of_last_layer(problem) if self.features else None
        with watched(last_linear(problem.victim.network)) as shown:

            def objective(progress: float) -> Tensor:
                ours = problem.victim.gradient(guess.inputs, guess.truth)
                value = cosine_distance(ours, problem.captured)
                value = value + self.prior * (1 - progress) * relative_total_variation(guess.inputs).mean()
                if guess.logits is not None:
                    value = value + self.outlines * (1 - progress) * total_variation(guess.truth).mean()
                if seen is not None:
                    value = value + self.features * (shown[-1] - seen).square().mean()
                return value

            adam(
                objective,
                guess.unknowns,
                self.iterations,
                budget,
                rate=self.learning_rate,
                schedule=warm_then_cosine,
                sign="soft",
                box=(self.lowest, self.highest),
            )


def polished(mismatch: Callable[[], Tensor], guess: Guess, prior: float, iterations: int, budget: Budget) -> None:
    """Move the guess by L-BFGS: mismatch and `prior` times total variation."""

    def objective() -> Tensor:
        return mismatch() + prior * relative_total_variation(guess.inputs).mean()

    lbfgs(objective, guess.unknowns, iterations, budget)


def _mismatch(problem: InversionProblem, guess: Guess) -> Tensor:
    ours = problem.victim.gradient(guess.inputs, guess.truth)
    return relative_squared_distance(ours, problem.captured)


def warm_then_cosine(progress: float) -> float:
    """Rises over the first twentieth, falls to zero as half a cosine."""
    return min(1.0, (progress + 1e-3) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))


def is_smooth(network: nn.Module) -> bool:
    """Whether no layer of it has a kink."""
    return not any(isinstance(module, KINKED) for module in network.modules())


def tiled_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal noise of 4 pixels a side, repeated over the image; plain noise for a table."""
    spatial = shape[2:]
    tile = torch.randn((*shape[:2], *(min(PATTERN, side) for side in spatial)), generator=generator)
    for axis, side in enumerate(spatial, start=2):
        tile = torch.cat([tile] * -(-side // tile.shape[axis]), axis).narrow(axis, 0, side)
    return tile.contiguous()


def last_linear(network: nn.Module) -> nn.Linear | None:
    """That is learned, of all."""
    found = [module for module in network.modules() if isinstance(module, nn.Linear) and _is_learned(module)]
    return found[-1] if found else None


def _is_learned(layer: nn.Linear) -> bool:
    """Not so of a companion, whose gradient nobody sends."""
    return layer.weight.requires_grad and (layer.bias is None or layer.bias.requires_grad)


@contextmanager
def watched(layer: nn.Linear | None) -> Iterator[list[Tensor]]:
    """The last thing the layer was shown, in a list of one."""
    shown: list[Tensor] = []
    if layer is None:
        yield shown
        return

    def note(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        shown[:] = [arguments[0]]

    hook = layer.register_forward_pre_hook(note)
    try:
        yield shown
    finally:
        hook.remove()


def features_of_last_layer(problem: InversionProblem) -> Tensor | None:
    """(N, features) what the last linear layer saw: its weights' gradient over its bias' gradient, at each label.

    Exact for one case; a mean over cases of the same label otherwise. None without labels or such a layer.
    """
    layer = last_linear(problem.victim.network)
    if layer is None or layer.bias is None or problem.labels is None:
        return None
    found = {
        id(parameter): part
        for (_, parameter), part in zip(trainable(problem.victim.network), problem.captured, strict=True)
    }
    weight, bias = found[id(layer.weight)], found[id(layer.bias)]
    rows = torch.from_numpy(problem.labels)
    if bias.shape[0] != problem.truth[1] or (bias[rows] == 0).any():
        return None
    return weight[rows] / bias[rows, None]


attack: type[Attack] = Matching
