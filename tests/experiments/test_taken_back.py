"""A hospital that poisons a sum: what the study's `[defence]` leaves of its harm; honest ones lose nothing."""

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
from server import run as conduct
from server.reporting.folder import read_run
from server.reporting.summary import summary_of

FOUR = "partition={name='iid', hospitals=4}"
VOTES = "defence.votes=true"
FAST = ("training.learning_rate=0.3", "training.epochs=2", "split.validation=0.3")
"""So that two rounds make a model that there is something to spoil of."""


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


def test_a_round_that_hospitals_vote_worse_is_taken_back_and_told(
    tiny: Callable[..., Study], poisoned: Callable[..., Outcome], tmp_path: Path
) -> None:
    study = tiny("aggregation=secagg", FOUR, "rounds=5", VOTES, *FAST)
    outcome = poisoned(study, "masked", "sign flip", 3)
    lost = outcome.rounds[3]
    assert lost["votes"] == {"of_round": 3, "worse": 3, "fine": 1, "silent": 0}
    assert lost["taken_back"]["rounds"] == [3, 4]
    assert outcome.rounds[4]["evaluation"]["of_round"] == 2 and "votes" not in outcome.rounds[4]
    assert outcome.about["last_vote"]["taken_back"]["rounds"] == [5, 6]
    assert outcome.about["model_of_round"] == 2
    honest = run_quietly(tiny("aggregation=secagg", FOUR, "rounds=2", *FAST), tmp_path / "honest")
    assert outcome.about["model_sha256"] == honest.about["model_sha256"]
    said = (
        "Round 3 was taken back: 3 of 4 hospitals voted it worse than the model before; round 4, which had trained "
        "on it, went with it."
    )
    summary = summary_of(read_run(tmp_path / "masked"))
    assert summary["taken_back"][0] == said and summary["taken_back"][1].startswith("Round 5 was taken back: 3 of 4")


def test_a_crash_right_after_a_round_was_taken_back_and_another_engine_change_no_bit(
    tiny: Callable[..., Study],
    poisoned: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What hospitals keep of the rounds that are gone (SCAFFOLD's control variates) is left aside by all."""
    study = tiny("aggregation=secagg", FOUR, "rounds=5", VOTES, "strategy=scaffold", *FAST)
    whole = poisoned(study, "whole", "sign flip", 3)
    assert "taken_back" in whole.rounds[3]
    keep = conduct.Conductor._keep

    def crash(self: conduct.Conductor, *kept: object) -> None:
        keep(self, *kept)  # type: ignore[arg-type]
        if "taken_back" in kept[2]:  # type: ignore[operator]
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(conduct.Conductor, "_keep", crash)
        with pytest.raises(KeyboardInterrupt):
            poisoned(study, "parts", "sign flip", 3)
    resumed = poisoned(study, "parts", "sign flip", 3, resume=True)
    elsewhere = poisoned(replace(study, engine="processes"), "processes", "sign flip", 3)
    for other in (resumed, elsewhere):
        assert other.about["model_sha256"] == whole.about["model_sha256"]
        assert [one.get("votes") for one in other.rounds] == [one.get("votes") for one in whole.rounds]


def test_honest_hospitals_lose_no_round_and_no_bit(tiny: Callable[..., Study], tmp_path: Path) -> None:
    for seed in range(2):
        own = ["rounds=4", f"seed={seed}", "federation.evaluate_every=0"]
        outcome = run_quietly(tiny(VOTES, "defence.update_norm=5", *own), tmp_path / f"{seed}")
        told = [*outcome.rounds, outcome.about["last_vote"]]
        assert len([one for one in told if "votes" in one]) == 4
        assert not any("taken_back" in one for one in told), seed
    bare = run_quietly(tiny(*own), tmp_path / "bare")
    assert bare.about["model_sha256"] == outcome.about["model_sha256"]


def test_where_single_updates_are_read_one_that_is_too_long_is_dropped_by_name(
    tiny: Callable[..., Study], poisoned: Callable[..., Outcome]
) -> None:
    outcome = poisoned(tiny(FOUR, "rounds=2", "defence.update_norm=0.5"), "plain", "sign flip", 1)
    (drop,) = outcome.rounds[0]["dropped"]
    assert drop["site"] == "hospital-3" and "the study allows 0.5 (update_norm)" in drop["reason"]
    assert outcome.rounds[0]["contributed"] == ["hospital-0", "hospital-1", "hospital-2"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((VOTES, "privacy={name='dpsgd', epsilon=5}"), "defence.votes tells how a model does on validation patients"),
        (("defence.update_norm=1", "privacy={name='dpsgd', epsilon=5}"), "after their noise was added"),
        ((VOTES, "split.validation=0"), "set split.validation above 0"),
        (("defence.update_norm=1", "strategy=scaffold"), "by other numbers beside it"),
        (("defence.update_norm=0",), "defence"),
    ],
)
def test_a_defence_that_breaks_a_promise_or_bounds_nothing_is_refused(
    tiny: Callable[..., Study], overrides: tuple[str, ...], said: str
) -> None:
    with pytest.raises(StudyError, match=said.replace("(", r"\(").replace(")", r"\)")):
        tiny(*overrides)


def test_a_study_without_a_defence_reads_as_before(tiny: Callable[..., Study]) -> None:
    assert "defence" not in tiny().text and "defence" not in json.loads(tiny().json)
    assert json.loads(tiny(VOTES).json)["defence"]["votes"] is True
