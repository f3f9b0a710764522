"""Shadow models: models of the same study that the attacker trains on cases of which it knows whether they are in.

They come in pairs: one trains on a random half of the pool, the other on the rest, so that every case is in half of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from client.training import Trainer
from common.data.cases import Cases
from common.learning.device import placed
from common.learning.parameters import read
from common.learning.schedules import rate_in_round
from common.learning.work import Training
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.sums.update import Vector
from experiments.attacks.membership.target import Floats, Target
from experiments.evidence.budget import Budget
from experiments.observation import Observation

MOST_SHADOWS = 32
SHARE_OF_FIRST = 0.4


@dataclass(frozen=True)
class Shadows:
    """included: (S, N) whether shadow s trained on case n of the pool. losses: (S, N). rounds: each has trained."""

    included: NDArray[np.bool_]
    losses: Floats
    rounds: int

    def __len__(self) -> int:
        return len(self.included)

    @property
    def inside(self) -> list[Floats]:
        """For every case, its losses under the shadows that trained on it."""
        return [self.losses[self.included[:, case], case] for case in range(self.losses.shape[1])]

    @property
    def outside(self) -> list[Floats]:
        """For every case, its losses under the others."""
        return [self.losses[~self.included[:, case], case] for case in range(self.losses.shape[1])]


def train_shadows(
    observed: Observation, pool: Cases, rng: np.random.Generator, seconds: float, most: int = MOST_SHADOWS
) -> Shadows:
    """Shadows by plain training with the study's settings, pair by pair: as many as there is time for, at least two.

    The first pair may use SHARE_OF_FIRST of the time, and trains for fewer rounds than the study where that does not
    suffice; all others train for as many.
    """
    budget = Budget(seconds)
    halves = _halves(len(pool), most, rng)
    fresh, study = _fresh(observed, rng), observed.study
    first = budget.part(SHARE_OF_FIRST)
    trained, rounds = _pair(study, fresh, pool, halves[:2], study.rounds, first)
    each = first.spent
    while len(trained) + 2 <= len(halves) and budget.left > each:
        begun = budget.spent
        more, _ = _pair(study, fresh, pool, halves[len(trained) : len(trained) + 2], rounds, None)
        trained += more
        each = budget.spent - begun
    target = Target.of(observed)
    losses = np.stack([target.losses(parameters, pool) for parameters in trained])
    return Shadows(halves[: len(trained)], losses, rounds)


def _pair(
    study: Study,
    fresh: Callable[[Cases], Trainer],
    pool: Cases,
    halves: NDArray[np.bool_],
    rounds: int,
    budget: Budget | None,
) -> tuple[list[Vector], int]:
    """Parameters of two shadows, and for how many rounds they trained."""
    trainers = [fresh(pool.take(np.flatnonzero(half))) for half in halves]
    done = 0
    while done < rounds and not (done and budget and budget.left == 0):
        for trainer in trainers:
            replace(trainer, training=local_training(study, done + 1)).train()
        done += 1
    return [read(trainer.network) for trainer in trainers], done


def _fresh(observed: Observation, rng: np.random.Generator) -> Callable[[Cases], Trainer]:
    """What makes a trainer of some cases, with the network the study begins with."""
    study = observed.study
    task, training = study.build_task(), local_training(study)
    network = placed(observed.network())
    return lambda cases: Trainer(task, deepcopy(network), cases, training, rng)


def local_training(study: Study, number: int = 1) -> Training:
    """What round `number` of the study makes a hospital do; where it sends gradients, the server's step."""
    strategy = STRATEGIES.build(study.strategy)
    if strategy.sends != "gradient":
        return study.training.in_round(number)
    rate = float(getattr(strategy, "learning_rate", study.training.learning_rate))
    rate = rate_in_round(rate, study.server_schedule, number)
    return replace(study.training, epochs=1, steps=1, learning_rate=rate, optimiser="sgd")


def _halves(count: int, shadows: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(shadows, count): random halves, each followed by its complement."""
    found = []
    for _ in range(-(-shadows // 2)):
        half = rng.permutation(count) < count // 2
        found += [half, ~half]
    return np.array(found)
