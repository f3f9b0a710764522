"""A hospital that poisons a sum: what the study's `[defence]` leaves of its harm, and that honest ones lose nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from client.hospital import close_all
from common.errors import StudyError
from common.study.study import Study
from experiments.engines import _quiet
from experiments.engines._quiet import Outcome, run_quietly
from experiments.evidence.poisoned_app import NOTE, Poison
from experiments.evidence.poisoned_federation import POISONED_APP, PoisonedFederation
from server import conduct
from server.reporting.folder import read_run
from server.reporting.summary import summary_of

FOUR = "partition={name='iid', hospitals=4}"
VOTES = "defence.votes=true"


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """Runs a study, in which the last hospital begins to poison in a round."""
    monkeypatch.setattr(_quiet, "CLIENT_APP", POISONED_APP)

    def run(study: Study, folder: str, kind: str, first_round: int, resume: bool = False) -> Outcome:
        place = tmp_path / folder
        own = place / "hospitals" / "hospital-3"
        own.mkdir(parents=True, exist_ok=True)
        (own / NOTE).write_text(json.dumps(asdict(Poison(kind, first_round))))
        return run_quietly(study, place, resume=resume)

    yield run
    close_all()


def test_under_masks_a_sign_flip_ruins_the_model_and_with_the_defence_it_does_not(tiny: Callable[..., Study]) -> None:
    federation = PoisonedFederation(tiny("aggregation=secagg", "partition={name='iid', hospitals=5}", "rounds=6"))
    bare, defended = (federation.played("sign flip", defence) for defence in (False, True))
    assert bare.score < 0.5 and bare.taken_back == 0
    assert defended.score > 0.9 and defended.taken_back == 3
    assert "as often as the study bears" in defended.ended
    within = federation.played("sign flip within the bound", True)
    assert within.score > bare.score + 0.3
