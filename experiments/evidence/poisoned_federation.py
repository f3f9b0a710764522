"""One hospital poisons a small federation: what is left of the score, under a way of adding up and a defence.

The hospital answers through the real ClientApp, with its update changed before it is masked (a sign-flipped, scaled
update: Blanchard et al. 2017, section 1, where any such hospital moves a mean wherever it likes; model replacement:
Bagdasaryan et al. 2020), or with its labels exchanged before training (Biggio et al. 2012, Poisoning Attacks against
Support Vector Machines).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from client.hospital import site_names
from common.errors import RoundError, StudyError
from common.study.catalogue import ENGINES, STRATEGIES
from common.study.defence_settings import Defence
from common.study.options import Entry
from common.study.study import Study
from experiments.access import Played
from experiments.engines._quiet import Outcome, read_outcome
from experiments.evidence.poisoned_app import KINDS, NOTE, Poison
from server.app import app as server_app

ROUNDS, ROUNDS_DEFENDED = 3, 6
HONEST_ROUNDS = 2
"""Of those under the study's own aggregation: a poisoner that waits until there is a model to spoil."""
ROOM = 1.5
"""A bound that a study does not name is the longest honest mean update times this: single ones are longer."""
T = TypeVar("T")
POISONED_APP = "experiments.evidence.poisoned_app:app"


@dataclass
class PoisonedFederation:
    """As `experiments.access.Federation`. The last hospital is the one that poisons."""

    study: Study
    _bound: float = field(default=nan, init=False)

    def score(self, kind: str, strategy: str) -> float:
        """The headline score on all test cases after a few rounds.

        NaN where the model diverged, or where the strategy refuses so few hospitals. kind: "" for an honest
        federation, or one of `poisoned_app.KINDS`. Sums are made in the clear, whatever the study says. Raises
        StudyError for another kind, and under privacy.
        """
        self._demand_known(kind)
        STRATEGIES.load(strategy)
        study = replace(_small(self.study), strategy=Entry(strategy), aggregation=Entry("plain"), defence=Defence())
        return _played(study, Poison(kind) if kind else None).score

    def played(self, kind: str, defended: bool) -> Played:
        """What comes of it by the study's own strategy and aggregation, with and without its defence.

        Where the study has none, the one it could have. The hospital is honest in the first rounds. Raises StudyError
        as `score`.
        """
        self._demand_known(kind)
        study = replace(_small(self.study, ROUNDS_DEFENDED), defence=self.defence if defended else Defence())
        return _played(study, Poison(kind, HONEST_ROUNDS + 1) if kind else None)

    @property
    def defence(self) -> Defence:
        """The study's own; where it has none, votes, and where its strategy can be bounded a bound."""
        if self.study.defence.is_on:
            return self.study.defence
        work = STRATEGIES.build(self.study.strategy).work()
        if work.controlled or work.beside:
            return Defence(votes=True)
        if not self._bound > 0:
            wide = replace(_small(self.study, 1), defence=Defence(update_norm=1e9))
            self._bound = ROOM * max(_run(wide, None, _longest), 1e-9)
        return Defence(update_norm=self._bound, votes=True)

    def _demand_known(self, kind: str) -> None:
        if kind and kind not in KINDS:
            raise StudyError(f"there is no poisoning {kind!r}; there are {', '.join(KINDS)}.")
        if self.study.privacy is not None:
            raise StudyError("poisoning is tried without privacy: its noise would hide what the strategy does.")


def _small(study: Study, rounds: int = ROUNDS) -> Study:
    """The study in a few rounds, in this process, with nothing beside the training."""
    return replace(
        study,
        rounds=min(study.rounds, rounds),
        engine="inline",
        stopping=None,
        baselines=replace(study.baselines, local=False, pooled=False),
        federation=replace(study.federation, record_traffic=False, stop_at_score=None, compression=None),
    )


def _played(study: Study, poison: Poison | None) -> Played:
    try:
        return _run(study, poison, lambda outcome: _what_came(study, outcome))
    except RoundError as error:
        return Played(nan, 0, str(error))


def _what_came(study: Study, outcome: Outcome) -> Played:
    score = outcome.final["test"]["pooled"].get(study.build_task().headline)
    records = [*outcome.rounds, outcome.about.get("last_vote", {})]
    times = sum("taken_back" in record for record in records)
    return Played(nan if score is None else float(score), times, str(outcome.about["ended_early"]))


def _longest(outcome: Outcome) -> float:
    return max(float(record["mean_update_norm"]) for record in outcome.rounds)


def _run(study: Study, poison: Poison | None, read: Callable[[Outcome], T]) -> T:
    """What `read` makes of a run of the study, in a folder that is gone after it."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        sites = site_names(study)
        if poison is not None:
            own = folder / "hospitals" / sites[-1]
            own.mkdir(parents=True)
            (own / NOTE).write_text(json.dumps(asdict(poison)), encoding="utf-8")
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
        return read(read_outcome(folder))
