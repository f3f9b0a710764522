"""How an audit opens: each finding with its own hospitals, and what needs a condition last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, cast

import pytest

from experiments.audit.records import Claim, Rebuilt, Report, Trial
from experiments.audit.report.headline import opening_sentence
from tests.experiments.judging import CHEATS as CHEATING
from tests.experiments.judging import cast_for, judged

PROMISED = Claim("secagg", "sum", "nobody", "dpsgd", "patient", {"a": 2.0, "b": 2.0, "c": 2.0}, 1e-5, "seed")
END = "; the reasons, and what to change, are below."
BACK = "a patient's data came back"
DIMLY = "a patient is recognised in what came back, though dimly"
LIKE = "something like patients' data came back, in which nobody in particular is recognised"
COLLUDE = "other hospitals collude with the coordinator, against which this run promised nothing"
CHEATS = "the coordinator cheats"
MEMBER = "one can tell who was a patient of the study"
PERHAPS = "one can tell better than by guessing who was a patient of the study"


class Told:
    """The question of membership, whose trials say their light themselves."""

    place, title = 30, ""

    def reasons(self, site: str, trial: Trial, run: object) -> Iterator[tuple[Any, str, str]]:
        yield trial.settings["light"], "told", ""


WITH_MEMBERSHIP = cast_for()
WITH_MEMBERSHIP = replace(WITH_MEMBERSHIP, questions={**WITH_MEMBERSHIP.questions, "membership": cast(Any, Told())})


def back(site: str, similarity: float = 0.9, rank: int = 1) -> Trial:
    one = Rebuilt(site, "", "", similarity, 20.0, rank, 50)
    return Trial("attack", "reconstruction", "coordinator", site, "", "", "", rebuilt=(one,))


def colluding(site: str) -> Trial:
    return replace(back(site), observer="colluding", condition="both others collude,")


def cheating(site: str) -> Trial:
    return replace(back(site), attack="imprint", observer="cheating", condition=CHEATING)


def told(site: str, low: float) -> Trial:
    light = "red" if low > 0.65 else "amber"
    return Trial("rmia", "membership", "coordinator", site, "", "", "", settings={"light": light})


def said(*trials: Trial, sites: str = "abc") -> str:
    claim = replace(PROMISED, epsilon=dict.fromkeys(sites, 2.0))
    lights = judged(claim, trials, list(sites), cast=WITH_MEMBERSHIP)
    return opening_sentence(Report("", "", "", "", 0, 0, {}, claim, trials, lights, (), (), (), ""))


def test_what_happened_to_one_hospital_is_not_said_of_another() -> None:
    assert said(back("a"), told("b", 0.7)) == f"For a {BACK}; for b {MEMBER}{END}"


def test_hospitals_that_share_all_of_it_are_named_once() -> None:
    assert said(back("a"), told("a", 0.7), back("b"), told("b", 0.7)) == f"For a and b {BACK} and {MEMBER}{END}"
    assert said(back("a"), back("b"), back("c"), told("b", 0.7)) == f"For a, b and c {BACK}; for b {MEMBER}{END}"


def test_many_hospitals_are_counted() -> None:
    assert said(*map(back, "abcd"), sites="abcdef") == f"For 4 of 6 hospitals {BACK}{END}"
    assert said(*map(back, "abcd"), sites="abcd") == f"For all 4 hospitals {BACK}{END}"


def test_a_weak_finding_of_one_hospital_is_said_beside_a_grave_one_of_another() -> None:
    assert said(back("a"), told("b", 0.6)) == f"For a {BACK}. For b {PERHAPS}{END}"


def test_whether_somebody_is_recognised_is_said_of_that_hospital_alone() -> None:
    assert said(back("a", 0.35), back("b", 0.9, rank=2)) == f"For a {DIMLY}; for b {LIKE}{END}"
    assert said(back("a", 0.26)) == f"For a {DIMLY}{END}"


def test_what_needs_a_condition_hides_nothing_that_needs_none() -> None:
    found = said(colluding("c"), told("b", 0.6))
    assert found == f"For b {PERHAPS}. For c {BACK}, but only if {COLLUDE}{END}"


def test_both_conditions_are_named_where_both_hold() -> None:
    assert said(colluding("c"), cheating("c")) == f"For c {BACK}, but only if {COLLUDE}, or if {CHEATS}{END}"
    apart = said(colluding("c"), cheating("a"))
    assert apart == f"For a {BACK}, but only if {CHEATS}; for c, only if {COLLUDE}{END}"


def test_no_condition_is_set_to_what_came_back_without_one() -> None:
    assert said(back("a"), colluding("a")) == f"For a {BACK}{END}"
    assert said(back("a"), colluding("a"), cheating("b")) == f"For a {BACK}. For b {BACK}, but only if {CHEATS}{END}"


KINDS = (back("a"), back("b", 0.26), told("c", 0.7), told("a", 0.6), colluding("c"), cheating("b"))


@pytest.mark.parametrize("chosen", [*product([False, True], repeat=len(KINDS))])
def test_of_any_findings_at_most_three_sentences_are_made_and_none_calms(chosen: tuple[bool, ...]) -> None:
    found = said(*(trial for trial, taken in zip(KINDS, chosen, strict=True) if taken))
    assert found.count(".") <= 3 and found.endswith(".")
    assert found.startswith("None of the attacks") == (not any(chosen))
