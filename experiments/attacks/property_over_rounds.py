"""What a hospital's patients have in common, and nobody asked the model to learn, is read off its updates.

Melis, Song, De Cristofaro and Shmatikov 2019, Exploiting unintended feature leakage in collaborative learning (S&P):
an attacker with data of its own, of which it knows who has a property, learns how updates change with the share of
those who have it, and reads the share off a hospital's updates, round after round (their section 4.1, passive). Here
hospitals are made up of strangers, drawn so that the groups a study names have any share, and so that they differ in
diagnoses and in what they look like as well, which is not what is asked; each trains as the hospital
did, from the model that it was sent; a ridge regression tells shares by updates. A round counts by how well
the made-up hospitals' own shares are told where each is left out, and the less the further the hospital's update lies
from theirs; what strangers let expect counts beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.subgroups import cells_of_persons
from client.training import Trainer
from common.data.cases import Cases, SiteId
from common.learning.abilities import no_case_loss, task_in_round
from common.learning.device import placed
from common.learning.parameters import read, write
from common.study.checks import between
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees, Shares
from experiments.attacks._case_features import features_of
from experiments.attacks._ridge import ridge
from experiments.attacks.membership.rounds import Move, moves_of, sends_gradients, spread
from experiments.evidence.budget import Budget
from experiments.evidence.local_training import local_training
from experiments.evidence.target_model import Floats
from experiments.observation import Observation

FEWEST_STRANGERS, FEWEST_MADE_UP = 20, 12
LEAST_VARIANCE = 1e-6
PRIOR = 12.0
"""Weight of what strangers let expect: over the variance of a share that may be anything."""
LOOKS, TILT = 6, 1.0
"""Main directions of inputs, and of their products with the truth, in which made-up hospitals differ; how much."""


@dataclass(frozen=True)
class Groups:
    """A column's cells: (N,) number of the cell of every stranger's case, -1 of none."""

    column: str
    cells: tuple[str, ...]
    places: NDArray[np.int64]

    @property
    def base(self) -> Floats:
        """(cells,) shares among strangers of a cell."""
        counts = np.bincount(self.places[self.places >= 0], minlength=len(self.cells))
        return np.asarray(counts / max(1, counts.sum()))


@dataclass(frozen=True)
class PropertyOverRounds:
    """hospitals: so many are made up in each round. rounds: so many are looked at, evenly spread, as time lasts."""

    sees: ClassVar[Sees] = "each"
    source: ClassVar[str] = "Melis et al. 2019, Exploiting unintended feature leakage in collaborative learning (S&P)"
    question: ClassVar[str] = "property"
    needs: ClassVar[tuple[Need, ...]] = ("population",)
    per: ClassVar[Per] = "run"
    words: ClassVar[str] = "learns on made-up hospitals how updates change with the share of a group of patients"

    hospitals: int = 40
    rounds: int = 6

    def __post_init__(self) -> None:
        between("attack", 8, 10_000, hospitals=self.hospitals)
        between("attack", 1, 10_000, rounds=self.rounds)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Shares of every group that the study names and strangers have."""
        reason, strangers = _missing(observed), observed.access.population
        groups = [] if reason or strangers is None else groups_of(observed, strangers)
        if reason or strangers is None or not groups:
            why = reason or "no group that the study names (report.subgroups) has several cells among strangers"
            return Finding("property_over_rounds", observed.observer, False, why)
        budget, claims, read_of = Budget(budget_seconds), [], {}
        for place, site in enumerate(observed.sites):
            part = budget.part(1 / (len(observed.sites) - place))
            told, read_of[site] = self._told(observed, site, strangers, groups, rng, part)
            claims += told
        settings = {"hospitals": self.hospitals, "rounds": self.rounds, "rounds_read": read_of}
        return Finding(
            "property_over_rounds", observed.observer, True, "", budget.spent, {}, settings, claims=tuple(claims)
        )

    def _told(
        self,
        observed: Observation,
        site: SiteId,
        strangers: Cases,
        groups: Sequence[Groups],
        rng: np.random.Generator,
        budget: Budget,
    ) -> tuple[list[Shares], int]:
        """Of one hospital, and of how many rounds."""
        told = np.concatenate([one.base for one in groups]) * PRIOR
        weights, read_of = np.full(len(told), PRIOR), 0
        for move in spread(moves_of(observed, site), self.rounds):
            if read_of and budget.left == 0:
                break
            updates, shares = self._made_up(observed, site, move, strangers, groups, rng, budget)
            found = [ridge(updates, column, _direction(move.descent)[None]) for column in shares.T]
            sure = 1 / (np.array([one.squared_errors[0] for one in found]) + LEAST_VARIANCE)
            told += sure * np.clip([one.predictions[0] for one in found], 0.0, 1.0)
            weights += sure
            read_of += 1
        return (_claims(site, groups, told / weights) if read_of else []), read_of

    def _made_up(
        self,
        observed: Observation,
        site: SiteId,
        move: Move,
        strangers: Cases,
        groups: Sequence[Groups],
        rng: np.random.Generator,
        budget: Budget,
    ) -> tuple[Floats, Floats]:
        """Directions of made-up hospitals' updates (M, P), and shares of all cells of all groups among them.

        Fewer than `hospitals` where the seconds do not suffice.
        """
        network, cases = placed(observed.network()), max(2, observed.cases.get(site, 2))
        looks = features_of(strangers, LOOKS)
        updates: list[Floats] = []
        shares: list[Floats] = []
        while len(updates) < self.hospitals and (len(updates) < FEWEST_MADE_UP or budget.left):
            drawn = rng.choice(len(strangers), cases, p=_weights(groups, looks, rng))
            write(network, move.parameters)
            updates.append(_direction(_descent(observed, move, strangers.take(drawn), deepcopy(network), rng)))
            shares.append(np.concatenate([_shares(one, drawn) for one in groups]))
        return np.array(updates), np.array(shares)


def groups_of(observed: Observation, strangers: Cases) -> list[Groups]:
    """Those that the study names, and of which strangers have two cells at least."""
    persons, of_case = np.unique(strangers.patients, return_inverse=True)
    found = []
    for grouping in observed.study.report.groupings:
        if grouping.column in strangers.columns:
            masks = cells_of_persons(grouping, strangers, persons, of_case.reshape(-1))
            place = np.where(masks.any(0), masks.argmax(0), -1)[of_case.reshape(-1)]
            found.append(Groups(grouping.column, grouping.cells, place))
    return [one for one in found if (one.base > 0).sum() > 1]


def _weights(groups: Sequence[Groups], looks: Floats, rng: np.random.Generator) -> Floats:
    """(N,) with which strangers are drawn, so that cells have any share, tilted in what they look like."""
    tilt = looks @ rng.normal(size=looks.shape[1]) * TILT / np.sqrt(looks.shape[1])
    weights = np.exp(tilt - tilt.max())
    for one in groups:
        present = one.base > 0
        wanted = np.zeros(len(one.cells))
        wanted[present] = rng.dirichlet(np.ones(int(present.sum())))
        now = np.bincount(one.places[one.places >= 0], weights[one.places >= 0], len(one.cells))
        factors = np.divide(wanted, now / max(now.sum(), 1e-300), out=np.zeros(len(wanted)), where=now > 0)
        weights = weights * np.where(one.places >= 0, factors[one.places], 1.0)
    return np.asarray(weights / weights.sum()) if weights.sum() > 0 else np.full(len(looks), 1 / len(looks))


def _shares(one: Groups, drawn: NDArray[np.int64]) -> Floats:
    own = one.places[drawn]
    counts = np.bincount(own[own >= 0], minlength=len(one.cells))
    return np.asarray(counts / max(1, counts.sum()))


def _descent(observed: Observation, move: Move, cases: Cases, network: object, rng: np.random.Generator) -> Floats:
    """What such a hospital would have sent, as `Move.descent` has it."""
    training = local_training(observed.study, move.round)
    task = task_in_round(observed.study.build_task(), move.round)
    trainer = Trainer(task, network, cases, training, rng)  # type: ignore[arg-type]
    if sends_gradients(observed):
        return np.asarray(trainer.gradient_update().vectors[0], np.float64)
    trainer.train()
    return move.parameters.astype(np.float64) - read(trainer.network)


def _direction(descent: Floats) -> Floats:
    """Of length 1: hospitals of other sizes, or clipped, move differently far."""
    return np.asarray(descent / max(float(np.linalg.norm(descent)), 1e-30))


def _claims(site: SiteId, groups: Sequence[Groups], means: Floats) -> list[Shares]:
    found, start = [], 0
    for one in groups:
        own = np.clip(means[start : start + len(one.cells)], 1e-6, None)
        start += len(one.cells)
        told = dict(zip(one.cells, (own / own.sum()).tolist(), strict=True))
        found.append(Shares(site, one.column, told, dict(zip(one.cells, one.base.tolist(), strict=True))))
    return found


def _missing(observed: Observation) -> str:
    if not observed.study.report.subgroups:
        return "the study names no groups of patients (report.subgroups) whose shares could be asked about"
    if not observed.singles:
        return "sees no single update, and a sum is of all hospitals' patients"
    population = observed.access.population
    if population is None or len(population) < FEWEST_STRANGERS:
        return f"of fewer than {FEWEST_STRANGERS} strangers' cases no hospitals can be made up"
    return no_case_loss(observed.study.build_task())


attack: type[Attack] = PropertyOverRounds
