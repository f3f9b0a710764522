"""One hospital sends poisoned updates: what is left of the score, by the strategy that adds up.

The last hospital turns the sign of its update and makes it long (Blanchard et al. 2017, section 1, where any such
hospital moves a mean wherever it likes), or as long as a bound lets pass; exchanges its labels before training
(Biggio et al. 2012); or sends so many times what exchanged labels taught that the mean becomes it (model replacement,
Bagdasaryan et al. 2020). Each is played under the study's own way of adding up, with its defence, or one that it
could have, and without; the two that need no bound also under ways that read single updates.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import ClassVar

import numpy as np

from common.errors import StudyError
from experiments.access import Federation, Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.observation import Observation

NOBODY, KINDS = "", ("sign flip", "label flip")
PLAYED = (*KINDS, "sign flip within the bound", "model replacement")
BARE, DEFENDED, TAKEN_BACK = "as the study adds up, undefended", "as the study adds up, defended", "times taken back"
"""Of figures, after a kind and a comma."""


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
        try:
            for kind in (NOBODY, *PLAYED):
                figures |= _played(federation, kind)
            for kind in (NOBODY, *KINDS):
                for strategy in self.strategies:
                    figures[f"{kind or 'nobody'}, {strategy}"] = federation.score(kind, strategy)
        except StudyError as error:
            return Finding("poisoning", observed.observer, False, str(error).rstrip("."))
        figures = {name: value for name, value in figures.items() if np.isfinite(value)}
        return Finding("poisoning", observed.observer, True, "", perf_counter() - begin, figures, asdict(self))


def _played(federation: Federation, kind: str) -> dict[str, float]:
    """Under the study's own aggregation."""
    bare, defended = (federation.played(kind, defended) for defended in (False, True))
    who = kind or "nobody"
    return {
        f"{who}, {BARE}": bare.score,
        f"{who}, {DEFENDED}": defended.score,
        f"{who}, {TAKEN_BACK}": float(defended.taken_back),
    }


attack: type[Attack] = Poisoning
