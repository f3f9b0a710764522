"""A model for each hospital: in the sum of their answers, each hospital's have places of their own.

Every hospital is sent the same imprint, but of another block of the first layer's units; all other units are dead,
and so their gradients are noughts (gradient suppression). What a block holds is one hospital's in any sum.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import SiteId
from common.errors import StudyError
from common.learning.parameters import new_network, read
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.imprint import Held, closer, held, imprinted, linear_layers
from experiments.attacks.cheating.orders import cases_behind, later_rounds, order_of, spread_inputs
from experiments.attacks.cheating.played import Played, finding_of
from experiments.evidence.budget import Budget
from experiments.observation import Observation

LOWEST, HIGHEST = -4.0, 4.0
LEAST_UNITS = 4
DEAD = -1e6
"""Bias of a unit that no case reaches."""


@dataclass(frozen=True)
class SeparateModels:
    """orders: one after the other."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Zhao et al. 2023, LOKI: kernels of each client's own; Pasquini et al. 2022, Eluding Secure Aggregation: "
        "models that differ, and gradient suppression"
    )
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "another model for each hospital, so that their answers stay apart in a sum"

    orders: int = 3

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Hospital by hospital, what its block of the sum holds."""
        return finding_of("separate_models", observed, asdict(self), self._played, budget_seconds)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        if len(answers.sites) < 2:
            raise StudyError("each hospital's update is read alone here, and needs no model of its own.")
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        blocks = dict(zip(answers.sites, np.array_split(_units(network), len(answers.sites)), strict=True))
        if min(map(len, blocks.values())) < LEAST_UNITS:
            raise StudyError("the first layer has too few units for a block for each hospital.")
        thresholds = {site: np.linspace(LOWEST, HIGHEST, len(block)) for site, block in blocks.items()}
        seen: dict[SiteId, Held] = {}
        sent: dict[SiteId, Order] = {}
        for number, _ in later_rounds(study, self.orders, budget):
            cases = {site: cases_behind(study, observed.cases[site]) for site in blocks}
            thresholds = {one: closer(at, seen[one], cases[one]) if seen else at for one, at in thresholds.items()}
            sent = {one: order_of(study, number, _only(network, blocks[one], at)) for one, at in thresholds.items()}
            total = answers.answer(sent[answers.sites[0]], sent).vectors[0].astype(np.float64)
            error = answers.rounding(sent[answers.sites[0]], float(np.abs(total).max()))
            seen = {site: held(network, total, error, block) for site, block in blocks.items()}
        back = tuple(((site,), spread_inputs(one, observed.shape.inputs)) for site, one in seen.items())
        return Played(sent[answers.sites[0]], back, sent)


def _units(network: nn.Module) -> NDArray[np.int64]:
    return np.arange(linear_layers(network)[0].out_features)


def _only(network: nn.Module, block: NDArray[np.int64], thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """(P,) an imprint of these units alone; the network becomes it."""
    everywhere = np.full(len(_units(network)), -DEAD)
    everywhere[block] = thresholds
    imprinted(network, everywhere)
    first = linear_layers(network)[0]
    with torch.no_grad():
        first.weight[torch.from_numpy(everywhere == -DEAD)] = 0.0
    return read(network)


attack: type[Attack] = SeparateModels
