"""One hospital sends poisoned updates: what is left of the score, by the strategy that adds up.

The last hospital turns the sign of its update and makes it long (Blanchard et al. 2017, section 1, where any such
hospital moves a mean wherever it likes), or exchanges its labels before training (Biggio et al. 2012).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import ClassVar

import numpy as np

from common.errors import StudyError
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.observation import Observation

NOBODY, KINDS = "", ("sign flip", "label flip")


@dataclass(frozen=True)
class Poisoning:
    """strategies: ways of adding up, each tried with nobody who poisons and with each kind of poison."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Blanchard et al. 2017; Yin et al. 2018 (Krum, median, trimmed mean)"
    question: ClassVar[str] = "poisoning"
    needs: ClassVar[tuple[Need, ...]] = ("federation",)
    per: ClassVar[Per] = "run"
    words: ClassVar[str] = "sends updates that harm the model, in small federations that are run for it"

    strategies: tuple[str, ...] = ("fedavg", "median", "trimmed_mean", "krum")

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores by kind of poison and strategy, left out where the model diverged."""
        begin, federation = perf_counter(), observed.access.federation
        if federation is None:
            return Finding("poisoning", observed.observer, False, "no federation can be run anew here")
        figures: dict[str, float] = {}
        for kind in (NOBODY, *KINDS):
            for strategy in self.strategies:
                try:
                    score = federation.score(kind, strategy)
                except StudyError as error:
                    return Finding("poisoning", observed.observer, False, str(error).rstrip("."))
                if np.isfinite(score):
                    figures[f"{kind or 'nobody'}, {strategy}"] = score
        return Finding("poisoning", observed.observer, True, "", perf_counter() - begin, figures, asdict(self))


attack: type[Attack] = Poisoning
