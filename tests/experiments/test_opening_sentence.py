"""How an audit opens: each finding with its own hospitals, and what needs a condition last."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from common.study.audit_settings import Audit
from experiments.audit.records import Claim, Interval, Rebuilt, Report, Trial
from experiments.audit.report.headline import opening_sentence
from experiments.audit.verdicts import verdicts

PROMISED = Claim("secagg", "sum", "nobody", "dpsgd", "patient", {"a": 2.0, "b": 2.0, "c": 2.0}, 1e-5, "seed")
END = "; the reasons, and what to change, are below."
BACK = "a patient's data came back"
DIMLY = "a patient is recognised in what came back, though dimly"
LIKE = "something like patients' data came back, in which nobody in particular is recognised"
COLLUDE = "other hospitals collude with the coordinator, against which this run promised nothing"
CHEATS = "the coordinator cheats, with models made to copy data"
MEMBER = "one can tell who was a patient of the study"
PERHAPS = "one can tell better than by guessing who was a patient of the study"


def back(site: str, likeness: float = 0.9, rank: int = 1) -> Trial:
    one = Rebuilt(site, "", "", likeness, 20.0, rank, 50)
    return Trial("attack", "reconstruction", "server", site, "", "", "", rebuilt=(one,))


def colluding(site: str) -> Trial:
    return replace(back(site), observer="colluding", settings={"colluders": ["x", "y"], "left": [site]})


def cheating(site: str) -> Trial:
    return replace(back(site), attack="imprint", observer="cheating", settings={"refused": {"listed": ""}})


def told(site: str, low: float) -> Trial:
    return Trial("rmia", "membership", "server", site, "", "", "", intervals={"auc": Interval(0.8, low, 0.9)})


def said(*trials: Trial, sites: str = "abc") -> str:
    claim = replace(PROMISED, epsilon=dict.fromkeys(sites, 2.0))
    lights = verdicts(list(sites), claim, trials, Audit())
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
