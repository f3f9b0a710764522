"""One hospital poisons a small federation: what is left of the score, by the strategy that averages.

The hospital answers through the real ClientApp, with its reply changed on the way out (a sign-flipped, scaled update:
Blanchard et al. 2017, section 1, where any such hospital moves a mean wherever it likes), or with its labels
exchanged before training (Biggio et al. 2012, Poisoning Attacks against Support Vector Machines).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory

from client.hospital import site_names
from common.errors import RoundError, StudyError
from common.study.catalogue import ENGINES, STRATEGIES
from common.study.options import Entry
from common.study.study import Study
from experiments.engines._quiet import read_outcome
from experiments.evidence.poisoned_app import KINDS, NOTE
from server.app import app as server_app

ROUNDS = 3
POISONED_APP = "experiments.evidence.poisoned_app:app"


@dataclass(frozen=True)
class PoisonedFederation:
    """As `experiments.access.Federation`. The last hospital is the one that poisons."""

    study: Study

    def score(self, kind: str, strategy: str) -> float:
        """The headline score on all test cases after a few rounds.

        NaN where the model diverged, or where the strategy refuses so few hospitals. kind: "" for an honest federation, or one of `poisoned_app.KINDS`. Sums are made in the clear, whatever the
        study says. Raises StudyError for another kind, and under privacy.
        """
        if kind and kind not in KINDS:
            raise StudyError(f"there is no poisoning {kind!r}; there are {', '.join(KINDS)}.")
        if self.study.privacy is not None:
            raise StudyError("poisoning is tried without privacy: its noise would hide what the strategy does.")
        return _score(_small(self.study, strategy), kind)


def _small(study: Study, strategy: str) -> Study:
    """The study in a few rounds, in the clear, in this process, with nothing beside the training."""
    STRATEGIES.load(strategy)
    return replace(
        study,
        rounds=min(study.rounds, ROUNDS),
        engine="inline",
        strategy=Entry(strategy),
        aggregation=Entry("plain"),
        baselines=replace(study.baselines, local=False, pooled=False),
        federation=replace(study.federation, record_traffic=False),
    )


def _score(study: Study, kind: str) -> float:
    with TemporaryDirectory() as place:
        folder = Path(place)
        sites = site_names(study)
        if kind:
            own = folder / "hospitals" / sites[-1]
            own.mkdir(parents=True)
            (own / NOTE).write_text(kind, encoding="utf-8")
        try:
            ENGINES.build(Entry("inline")).run(
                server_app=server_app,
                client_app=POISONED_APP,
                sites=sites,
                run_config={
                    "study": study.text,
                    "study-name": "poisoned",
                    "run-folder": str(folder),
                    "hospitals": len(sites),
                    "simulated": True,
                },
                folder=folder,
            )
        except RoundError:
            return nan
        pooled = read_outcome(folder).final["test"]["pooled"]
        return float(pooled[study.build_task().headline])
