"""Attacks by questions: each finds its victim where a hospital answers whatever it is asked, and nothing against it.

The victim is the one person aged 47. What an attacker wants is their cholesterol, or whether they are ill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.asking.asked import Place, asked_of
from client.asking.part import part_of
from client.ledger import Ledger
from client.policy import Policy, read_policy
from common.asking.exact_sums import Total, added
from common.asking.public import public_of
from common.asking.question import Question
from common.errors import BudgetSpentError, RefusedError
from common.privacy.noise import SystemNoise
from common.study.options import Entry
from tests.security.asked_hospital import SOURCE, VICTIM, VICTIM_AGE, VICTIM_CHOL, Asker, first_power, known, mean

WHO = f"age = {VICTIM_AGE:g}"
OTHERS = f"age != {VICTIM_AGE:g}"


def differencing(root: Path, guarded: bool) -> list[float]:
    asker = Asker(root, [mean(), mean(OTHERS)], guarded)
    return [asker.sum_of("chol") - asker.sum_of("chol", OTHERS)]


def two_studies(root: Path, guarded: bool) -> list[float]:
    """Each harmless by itself, and approved by people who know nothing of the other."""
    first, second = Asker(root, [mean()], guarded), Asker(root, [mean(OTHERS)], guarded)
    return [first.sum_of("chol") - second.sum_of("chol", OTHERS)]


def individual_tracker(root: Path, guarded: bool) -> list[float]:
    """Denning: the victim is the only man of 47; A = men, and the tracker is A without 47."""
    asker = Asker(root, [mean("sex = m"), mean(f"sex = m and not {WHO}")], guarded)
    return [asker.sum_of("chol", "sex = m") - asker.sum_of("chol", f"sex = m and not {WHO}")]


def general_tracker(root: Path, guarded: bool) -> list[float]:
    """Denning, Denning, Schwartz 1979: q(C) = q(C or T) + q(C or not T) - q(T) - q(not T), C asked nowhere."""
    first, second, third, fourth = f"{WHO} or sex = f", f"{WHO} or sex = m", "sex = f", "sex = m"
    asker = Asker(root, list(map(mean, (first, second, third, fourth))), guarded)
    sums = [asker.sum_of("chol", one) for one in (first, second, third, fourth)]
    return [sums[0] + sums[1] - sums[2] - sums[3]]


def freely(root: Path, guarded: bool) -> list[float]:
    """No study lists it."""
    return [Asker(root, [mean()], guarded, "questions.free = true").sum_of("chol", WHO)]


def withdrawal(root: Path, guarded: bool) -> list[float]:
    """The same question before and after somebody withdrew."""
    asker = Asker(root, [mean()], guarded)
    return [asker.sum_of("chol") - replace(asker, withdrawn=frozenset([VICTIM])).sum_of("chol")]


def other_words_to_another_hospital(root: Path, guarded: bool) -> list[float]:
    """Two hospitals, of whose sum the coordinator reads alone: one is asked of everybody, the other of the victim."""
    for name in ("a", "b"):
        (root / name).mkdir()
    honest, other = Asker(root / "a", [mean()], guarded), Asker(root / "b", [mean()], guarded)
    both = _summed(honest.total(column="chol"), other.total(column="chol"))
    mixed = _summed(honest.total(column="chol"), other.total(column="chol", where=[OTHERS]))
    return [first_power(both) - first_power(mixed)]


def _summed(one: Total, other: Total) -> Total:
    return added(one.parts, [one.integers, other.integers])


ATTACKS = [
    differencing,
    two_studies,
    individual_tracker,
    general_tracker,
    freely,
    withdrawal,
    other_words_to_another_hospital,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_victims_value_is_told_without_the_guard_alone(
    attack: Callable[[Path, bool], list[float]], tmp_path: Path
) -> None:
    for name in ("open", "guarded"):
        (tmp_path / name).mkdir()
    assert known(attack(tmp_path / "open", False))
    with pytest.raises(RefusedError):
        attack(tmp_path / "guarded", True)


def test_grouping_by_so_much_that_groups_are_single_persons_is_refused(tmp_path: Path) -> None:
    ages = [str(age) for age in range(40, 80)]
    study = {"source": {**SOURCE, "categorical": {"sex": ["f", "m"], "age": ages}}}
    with pytest.raises(RefusedError) as refusal:
        Asker(tmp_path, [mean(by="age")], study=study).total(column="chol", by="age")
    assert refusal.value.reason == "cells"


FREE = "questions.free = true\n"
ILL = {"name": "count", "where": [f"{WHO} and sick = yes"], "epsilon": 1.0}


def answers(asker: Asker, times: int, **question: Any) -> np.ndarray[Any, Any]:
    return np.array([float(asker.total(**question).exact("rows")[()]) for _ in range(times)])


def test_noise_does_not_average_out_however_often_a_question_is_asked(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    open_ = answers(Asker(tmp_path / "open", guarded=False), 60, **ILL)
    assert len(set(open_.tolist())) > 3 and abs(open_.mean() - 1) < 3.0
    asker = Asker(tmp_path, policy=FREE)
    guarded = answers(asker, 12, **ILL)
    assert len(set(guarded.tolist())) == 1
    assert len(Ledger(tmp_path / "folder").contents().entries) == 1
    same = answers(asker, 1, **{**ILL, "where": [f"sick = yes and not not {WHO}"]})
    assert same[0] == guarded[0], "the same question in other words has other noise"


def test_other_words_for_the_same_persons_cost_epsilon_again_until_it_is_spent(tmp_path: Path) -> None:
    asker = Asker(tmp_path, policy=FREE + "largest_epsilon_a_person = { epsilon = 3, delta = 1e-6 }\n")
    for year in range(3):
        asker.total(**{**ILL, "where": [f"{WHO} and sick = yes and age > {year}"]})
    with pytest.raises(BudgetSpentError):
        asker.total(**{**ILL, "where": [f"{WHO} and sick = yes and age > 3"]})
    kinds = [one.kind for one in Ledger(tmp_path / "folder").contents().entries]
    assert kinds == ["charge"] * 3 + ["refused"]


def outcome(asker: Asker, **question: Any) -> str:
    """What anybody sees of an answer but its numbers."""
    try:
        asker.total(**question)
    except RefusedError as refusal:
        return refusal.reason
    return "answered"


TRIED: list[dict[str, Any]] = [
    {"name": "mean", "column": "chol"},
    {"name": "mean", "column": "chol", "by": "sex"},
    {"name": "mean", "column": "chol", "where": [WHO]},
    {"name": "mean", "column": "chol", "where": [WHO], "epsilon": 1.0},
    {"name": "count", "where": [WHO]},
    {"name": "count", "where": [WHO], "epsilon": 1.0},
    {"name": "count", "where": ["sick = yes"], "by": "sex", "epsilon": 9.0},
    {"name": "mean", "column": "cholesterol"},
]


def test_two_hospitals_that_differ_by_the_victim_refuse_alike(tmp_path: Path) -> None:
    """What is refused is no oracle: not by how many rows a condition selects, nor by what is in them."""
    found = []
    for name, withdrawn in (("with", frozenset[str]()), ("without", frozenset([VICTIM]))):
        (tmp_path / name).mkdir()
        policy = FREE + "questions.least_cell = 5\n"
        asker = Asker(tmp_path / name, [mean(), mean(by="sex")], policy=policy, withdrawn=withdrawn)
        found.append([outcome(asker, **one) for one in TRIED])
    assert found[0] == found[1]
    assert {"answered", "free", "unbounded", "epsilon"} <= set(found[0])


def test_a_guard_that_counts_rows_would_be_such_an_oracle(tmp_path: Path) -> None:
    """So that the test above can fail: whoever refuses few rows tells by the refusal whether the victim is there."""

    def refuses(asker: Asker, where: str) -> bool:
        return float(asker.total("count", where=[where]).exact("rows")[()]) < 10

    found = []
    for name, withdrawn in (("with", frozenset[str]()), ("without", frozenset([VICTIM]))):
        (tmp_path / name).mkdir()
        found.append(refuses(Asker(tmp_path / name, guarded=False, withdrawn=withdrawn), "age >= 42 and age < 52"))
    assert found == [False, True]


def test_a_coordinator_that_says_other_totals_gets_no_more_queries_than_the_policy_has(tmp_path: Path) -> None:
    """Each set of cuts tells exact counts; without an end, every value of every person."""

    def cut(asker: Asker, at: float) -> int:
        hospital, question = asker.hospital, Question.of(Entry("median", {"column": "chol"}))
        analysis = question.build()
        first = next(analysis.ask(public_of(hospital.study, hospital.roster)))
        query = replace(first, tells={**first.tells, "cut": np.array([at])})
        asked = asked_of(hospital.study, 1, question, query, 1, hospital.roster)
        place = Place(asker.root / "folder", "data") if asker.guarded else None
        policy = read_policy(asker.root / "folder") if asker.guarded else Policy()
        return len(part_of(hospital, analysis, asked, policy, place, SystemNoise()))

    asker = Asker(tmp_path, [{"name": "median", "column": "chol"}], policy="questions.most_queries = 3\n")
    for at in (301.0, 302.0, 303.0, 301.0):
        cut(asker, at)
    with pytest.raises(RefusedError, match="most_queries = 3"):
        cut(asker, 304.0)


def test_the_victim_is_who_the_tests_say() -> None:
    assert VICTIM == "p07" and VICTIM_CHOL == 300 + VICTIM_AGE - 40
