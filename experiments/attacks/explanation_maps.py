"""Tells from sums of maps whose maps they are: who has the model and an image can make its map."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from client.case_maps import shares_of_case
from common.attribution.attribution import Attribution
from common.data.cases import Cases
from common.learning.parameters import new_network
from common.learning.start import put
from common.study.catalogue import ATTRIBUTIONS
from experiments.access import Need
from experiments.attack import Attack, Finding, Membership, Per, Sees
from experiments.evidence.answered_maps import AnsweredMaps
from experiments.evidence.whose_maps import whose
from experiments.observation import Observation

MOST_OTHERS = 200
NAME = "explanation_maps"


@dataclass(frozen=True)
class ExplanationMaps:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Shokri et al. 2021, On the privacy risks of model explanations; Homer et al. 2008, Resolving individuals"
    )
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates", "population", "maps")
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 0.5
    called: ClassVar[str] = "looking for patients in sums of maps"
    words: ClassVar[str] = "makes patients' maps, and looks for them in the sums of maps that hospitals answered"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """A score for every candidate of the hospitals that answered, those of a class without a sum being 0."""
        answered, population = observed.access.maps, observed.access.population
        if answered is None or population is None or not observed.access.candidates:
            reason = "no answer of maps was named, or nobody can be asked about"
            return Finding(NAME, observed.observer, False, reason)
        begin = perf_counter()
        asked = {site: own for site, own in observed.access.candidates.items() if site in answered.sums}
        maker = _Maker(observed, answered)
        others = maker.shares(population, MOST_OTHERS, rng)
        truth = np.asarray(population.targets)[: len(others)]
        claims: list[Membership] = []
        for site, cases in asked.items():
            if claims and perf_counter() - begin > budget_seconds:
                break
            claims.append(Membership(self._scores(maker, answered, site, cases, (others, truth), rng), site))
        settings = {"method": answered.reading.method.name, "epsilon": answered.epsilon}
        figures = {"blocks": float(answered.reading.blocks)}
        spent = perf_counter() - begin
        if not claims:
            return Finding(NAME, observed.observer, False, "none of the hospitals answered", spent)
        return Finding(NAME, observed.observer, True, "", spent, figures, settings, claims=tuple(claims))

    def _scores(
        self,
        maker: _Maker,
        answered: AnsweredMaps,
        site: str,
        cases: Cases,
        strangers: tuple[NDArray[np.float64], NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        found, own = np.zeros(len(cases)), maker.shares(cases, len(cases), rng)
        others, truth = strangers
        for label, summed in enumerate(answered.sums[site]):
            mine = np.flatnonzero(np.asarray(cases.targets) == label)
            if len(mine) and summed.cases > 0:
                found[mine] = whose(own[mine], others[truth == label], summed, answered.epsilon == 0)
        return found


class _Maker:
    """Makes maps as hospitals do."""

    def __init__(self, observed: Observation, answered: AnsweredMaps) -> None:
        study = observed.study
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        put(network, answered.model)
        self.network, self.side = network.double().eval(), answered.reading.side
        self.method = cast(Attribution, ATTRIBUTIONS.build(answered.reading.method))

    def shares(self, cases: Cases, most: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(N, blocks) of the first `most`."""
        rows = []
        for place in range(min(most, len(cases))):
            batch = cases.batch(np.array([place]))
            inputs, truth = batch.inputs.double(), batch.targets.to(torch.int64)
            rows.append(shares_of_case(self.method, self.network, inputs, truth, self.side, rng))
        return np.stack(rows)


attack: type[Attack] = ExplanationMaps
