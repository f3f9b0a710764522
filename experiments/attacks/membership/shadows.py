"""Shadow models: models of the same study that the attacker trains on cases of which it knows whether they are in.

They come in pairs: one trains on the cases of a random half of all persons, the other on the rest, so that every case
is in half of them, and no case of a person is in where another is out. They are trained once for all attacks of an
audit: each takes those that are there, and adds more for its own seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from client.training import Trainer
from common.data.cases import Cases
from common.learning.abilities import task_in_round
from common.learning.device import placed
from common.learning.parameters import read
from common.seeding import generator
from common.study.study import Study
from experiments.attacks.membership.pool import Pool
from experiments.evidence.budget import Budget
from experiments.evidence.local_training import local_training
from experiments.evidence.target_model import Floats, Target
from experiments.observation import Observation

MOST_SHADOWS = 64
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


@dataclass
class _Kept:
    """Shadows of one pool, as far as they are trained. pair_seconds: that the last pair took."""

    of: tuple[str, tuple[Cases, ...]]
    pool: Pool
    included: list[NDArray[np.bool_]] = field(default_factory=list)
    losses: list[Floats] = field(default_factory=list)
    rounds: int = 0
    pair_seconds: float = 0.0


_kept: list[_Kept] = []
"""Of the last observation alone: its cases may be large."""


def forget_shadows() -> None:
    """Let go of all."""
    _kept.clear()


def shadows_of(observed: Observation, seconds: float, most: int = MOST_SHADOWS) -> tuple[Pool, Shadows]:
    """All that there are for what the attack is handed, and as many more as there are seconds for; at least two.

    By plain training with the study's settings. The first pair may use SHARE_OF_FIRST of the time, and trains for
    fewer rounds than the study where that does not suffice; all others train for as many.
    """
    budget, kept = Budget(seconds), _kept_of(observed)
    while len(kept.included) < most and (not kept.included or budget.left > kept.pair_seconds):
        _add_pair(kept, observed, budget)
    return kept.pool, Shadows(np.array(kept.included), np.stack(kept.losses), kept.rounds)


def _kept_of(observed: Observation) -> _Kept:
    access = observed.access
    cases = (*access.candidates.values(), *([access.population] if access.population is not None else []))
    for kept in _kept:
        if kept.of[0] == observed.study.json and _same(kept.of[1], cases):
            return kept
    _kept[:] = [_Kept((observed.study.json, cases), Pool.of(observed))]
    return _kept[0]


def _same(ones: tuple[Cases, ...], others: tuple[Cases, ...]) -> bool:
    """Whether they are the very same objects: comparing large cases would take long."""
    return len(ones) == len(others) and all(one is other for one, other in zip(ones, others, strict=True))


def _add_pair(kept: _Kept, observed: Observation, budget: Budget) -> None:
    study, pool, begun = observed.study, kept.pool, budget.spent
    rng = generator(study.seed, "shadow models", len(kept.included) // 2)
    half = rng.permutation(pool.persons.max() + 1) < (pool.persons.max() + 1) // 2
    halves = [half[pool.persons], ~half[pool.persons]]
    first = budget.part(SHARE_OF_FIRST) if not kept.included else None
    trainers = [_fresh(observed, rng)(pool.cases.take(np.flatnonzero(own))) for own in halves]
    kept.rounds = _train(study, trainers, kept.rounds or study.rounds, first)
    target = Target.of(observed)
    kept.included += halves
    kept.losses += [target.losses(read(trainer.network), pool.cases) for trainer in trainers]
    kept.pair_seconds = budget.spent - begun


def _train(study: Study, trainers: list[Trainer], rounds: int, budget: Budget | None) -> int:
    """For how many rounds they trained."""
    done = 0
    while done < rounds and not (done and budget and budget.left == 0):
        for trainer in trainers:
            task = task_in_round(trainer.task, done + 1)
            replace(trainer, task=task, training=local_training(study, done + 1)).train()
        done += 1
    return done


def _fresh(observed: Observation, rng: np.random.Generator) -> Callable[[Cases], Trainer]:
    """What makes a trainer of some cases, with the network the study begins with."""
    study = observed.study
    task, training = study.build_task(), local_training(study)
    network = placed(observed.network())
    return lambda cases: Trainer(task, deepcopy(network), cases, training, rng)


def settings_of(pool: Pool, shadows: Shadows) -> Mapping[str, int]:
    """What a finding says of them."""
    return {"shadows_trained": len(shadows), "shadow_rounds": shadows.rounds, "pool_cases": len(pool.cases)}
