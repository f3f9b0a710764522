from __future__ import annotations

from math import comb
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.study.audit_settings import Audit
from experiments.adversary import View
from experiments.attack import Finding, Membership
from experiments.audit.questions import membership
from experiments.audit.questions._exposed import exposed
from experiments.audit.questions._joint_chance import Level, Parted
from experiments.audit.questions.membership import WhoWasTrainedOn
from experiments.audit.records import Trial
from experiments.question import Attempt

ALLOWED = 0.05


@given(st.integers(1, 9), st.integers(1, 12))
def test_the_chances_of_all_looks_add_up_to_what_is_allowed(attacks: int, sites: int) -> None:
    level = Level(ALLOWED, attacks, sites)
    alone = [level.of("a")] * (2 * attacks * sites)
    together = [level.of("")] * (2 * attacks) if sites > 1 else []
    assert sum((*alone, *together)) == pytest.approx(ALLOWED)


def test_who_is_named_and_how_often_chance_names_as_many() -> None:
    """3 of 4 members lie above all 2 others: the first 3 of 6 are members in 4/6 3/5 2/4 = 1/5 of all orders."""
    parted = Parted(np.array([5.0, 4, 3, 0]), np.array([2.0, 1]))
    assert parted.named == 3
    assert parted.chance_of_named == pytest.approx(4 / 6 * 3 / 5 * 2 / 4)
    assert parted.best_chance == pytest.approx(1 / comb(6, 4))
    assert Parted(np.array([2.0]), np.array([2.0])).named == 0, "a tie is a false alarm too"
    assert Parted(np.zeros(3), np.zeros(3)).chance_of_auc == 1


def audited(rng: np.random.Generator, attacks: int, shift: Any, monkeypatch: Any, patients: int = 12) -> list[Any]:
    """Trials of attacks whose scores are noise, of three hospitals; `shift` is added to members, by their number."""
    half = patients // 2
    member = np.arange(patients) < half
    one = SimpleNamespace(
        cases=range(patients),
        member=member,
        places=np.where(member, np.arange(patients) + 1, 0),
        by_patient=lambda scores: scores,
    )
    samples = SimpleNamespace(candidates=dict.fromkeys("abc", one))
    monkeypatch.setattr(membership, "samples_of", lambda observed: samples)
    found: list[Any] = []
    common = rng.normal(size=(3, patients))
    for number in range(attacks):
        scores = common + 0.5 * rng.normal(size=(3, patients)) + np.where(member, shift, 0.0)
        claims = tuple(Membership(own, site) for site, own in zip("abc", scores, strict=True))
        attempt = Attempt(f"attack {number}", "", "me", VIEW, tries_of_all=attacks, question="membership")
        found += WhoWasTrainedOn().scored(attempt, Finding("attack", "me", True, claims=claims), RUN)
    return found


SEEN: Any = SimpleNamespace(sites=("a", "b", "c"))
VIEW = View(SEEN)
RUN: Any = SimpleNamespace(
    observed=SEEN,
    study=SimpleNamespace(audit=Audit(), build_task=SimpleNamespace),
    claim=None,
)


def lights(trials: list[Trial]) -> set[str]:
    question = WhoWasTrainedOn()
    found = {
        light for trial in trials for light, words, _ in question.reasons(trial.site or "a", trial, RUN) if words
    }
    return found | {
        light for site in "abc" for light, words, _ in question.standing(site, trials, RUN) if "powerful" not in words
    }


def test_at_most_five_of_a_hundred_audits_of_pure_noise_are_amber_or_red(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    alarms = sum(
        lights(audited(rng, 3, 0.0, monkeypatch, 10 if number % 2 else 40)) != {"green"} for number in range(100)
    )
    assert alarms <= 5


def test_a_large_leak_is_red_and_its_patients_are_named_by_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = audited(np.random.default_rng(0), 3, 6.0, monkeypatch, 60)
    assert "red" in lights(trials)
    found = exposed("b", trials, ALLOWED, 3)
    assert found is not None and found.chance < ALLOWED
    assert len(found.places) > 20 and set(found.places) <= set(range(1, 31))
    assert max(found.above) <= 3 and found.asked == 30
    assert "stand out" in WhoWasTrainedOn().answer(trials)


def test_a_few_who_stand_out_are_amber_though_the_area_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 of 100 members are sure; all others are as good as anybody."""
    shift = np.where(np.arange(200) < 16, 20.0, 0.0)
    trials = audited(np.random.default_rng(1), 2, shift, monkeypatch, 200)
    assert all(trial.intervals["auc"].low < 0.55 for trial in trials)
    assert "amber" in lights(trials)
    found = exposed("a", trials, ALLOWED, 3)
    assert found is not None and set(range(1, 17)) <= set(found.places) and found.chance < ALLOWED


def test_by_chance_few_are_named_and_nobody_of_them_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = audited(np.random.default_rng(2), 3, 0.0, monkeypatch, 60)
    found = exposed("a", trials, ALLOWED, 3)
    assert found is not None and found.chance > ALLOWED
    assert "No patient stands out" in WhoWasTrainedOn().answer(trials)
