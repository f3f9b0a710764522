"""Whether a network has collapsed: verdicts on curves, by hand, and their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.collapse import LEAST_CASES, Look, Verdict, verdict
from server.collapse_words import all_well, answers, in_short, sentences

WATCHED = ("spread", "answer_spread")
CASES = {"Oslo": 40, "Rome": 60}


def judged(
    spread: Sequence[float | None], cases: Mapping[str, int] = CASES, first: int = 0, **other: Sequence[float]
) -> Verdict:
    columns = {"spread": spread, **other}
    rows = [{name: values[k] for name, values in columns.items()} for k in range(len(spread))]
    looks = [Look(first + k, {n: v for n, v in row.items() if v is not None}) for k, row in enumerate(rows)]
    return verdict(WATCHED, looks, cases)


def of_sites(oslo: Sequence[float], rome: Sequence[float], cases: Mapping[str, int] = CASES) -> Verdict:
    pairs = zip(oslo, rome, strict=True)
    looks = [
        Look(k, {"spread": (a + b) / 2}, {"Oslo": {"spread": a}, "Rome": {"spread": b}})
        for k, (a, b) in enumerate(pairs)
    ]
    return verdict(WATCHED, looks, cases)


def kinds(found: Verdict) -> list[tuple[str, str, int]]:
    return [(one.kind, one.site, one.since) for one in found.standing]


def test_features_that_fall_far_below_the_untrained_ones_twice_running_have_collapsed() -> None:
    assert not judged([0.05, 0.011, 0.004]).standing
    found = judged([0.05, 0.011, 0.004, 0.003])
    assert found.collapsed and kinds(found) == [("fallen", "", 2)] and found.last_well == 2


def test_a_plunge_is_told_at_once() -> None:
    assert judged([0.05, 0.0004]).collapsed


def test_a_dip_is_none_and_a_collapse_that_passed_is_told_as_such() -> None:
    assert not judged([0.05, 0.004, 0.03, 0.004, 0.05]).standing
    found = judged([0.05, 0.004, 0.004, 0.05])
    assert not found.collapsed and [one.kind for one in found.passed] == ["fallen"] and found.last_well == 3


def test_what_is_watched_beside_the_features_falls_for_itself() -> None:
    found = judged([0.05, 0.05, 0.05], answer_spread=[0.2, 1e-6, 1e-6])
    assert found.collapsed and found.standing[0].score == "answer_spread"
    assert not judged([0.05] * 3, answer_spread=[0.2, 0.03, 0.03]).standing


def test_answers_that_are_one_from_the_start_are_told_before_the_first_round() -> None:
    found = judged([0.0])
    assert found.collapsed and kinds(found) == [("alike", "", 0)]
    assert "before the first round" in " ".join(sentences(found)) and "images" in sentences(found)[-1]


def test_without_a_look_before_the_first_round_only_nothing_is_nothing() -> None:
    assert not judged([0.05, 0.0005, 0.0005], first=3).standing
    assert judged([0.05, 0.00001], first=3).collapsed
    assert "nobody looked before the first round" in all_well(judged([0.05, 0.0005], first=3))


def test_directions_that_are_lost_are_told_though_the_spread_stands() -> None:
    found = judged([0.05, 0.05], effective_rank=[4.9, 1.001])
    assert kinds(found) == [("narrow", "", 1)] and "one number is left" in in_short(found)
    assert not judged([0.05, 0.05], effective_rank=[1.3, 1.001]).standing


def test_a_loss_at_its_trivial_value_is_a_doubt_and_with_answers_that_shrank_a_collapse() -> None:
    flat = [0.3, *[0.2] * 7, *[0.004] * 4]
    doubt = judged([0.05] * 12, explained=flat)
    assert kinds(doubt) == [("unlearned", "", 8)] and not doubt.collapsed
    assert in_short(doubt).startswith("Doubtful")
    found = judged([0.05, *[0.015] * 11], explained=flat)
    assert kinds(found) == [("trivial", "", 8)] and found.collapsed and found.last_well == 10
    assert not judged([0.05] * 12, explained=[*flat[:-2], 0.02, 0.004]).standing
    assert not judged([0.05] * 8, explained=[0.001] * 8).standing


def test_what_cannot_be_measured_any_more_is_told() -> None:
    found = judged([0.05, None])
    assert kinds(found) == [("lost", "", 1)] and "no finite numbers" in in_short(found)


def test_of_few_cases_nothing_is_said() -> None:
    assert not judged([0.05, 0.0, 0.0], cases={"Oslo": LEAST_CASES - 1}).standing
    assert judged([0.05, 0.0, 0.0], cases={}).collapsed


def test_one_hospital_alone_is_named_and_the_run_goes_on() -> None:
    found = of_sites([0.05, 0.04, 0.04], [0.05, 0.003, 0.002])
    assert kinds(found) == [("fallen", "Rome", 1)] and not found.collapsed
    assert "Rome's cases" in in_short(found) and "scanner" in sentences(found)[-1]
    assert not of_sites([0.05, 0.04, 0.04], [0.05, 0.003, 0.002], {"Oslo": 40, "Rome": 5}).standing


def test_a_collapse_of_all_is_not_told_of_every_hospital_again() -> None:
    assert kinds(of_sites([0.05, 0.003, 0.002], [0.05, 0.003, 0.002])) == [("fallen", "", 1)]


def test_a_run_that_was_looked_at_and_is_well_says_so_with_its_numbers() -> None:
    words = all_well(judged([0.05, 0.12], answer_spread=[0.2, 0.4]))
    assert words.startswith("Looked at in 2 evaluations, the last after round 1: features lie 0.12 from their mean")
    assert words.endswith("; no collapse.") and "answers lie 0.4" in words


def test_who_did_not_look_says_so() -> None:
    few = judged([0.05, 0.0], answer_spread=[0.2, 0.2], cases={"Oslo": LEAST_CASES - 1})
    assert not few.standing and "a collapse would not be seen" in all_well(few) and not few.is_seen
    half = judged([None, None], answer_spread=[0.2, 0.2])
    assert not half.standing and half.unseen == ("spread",) and not half.is_seen
    assert "no collapse of these; features were not measured" in all_well(half)
    assert judged([0.05, 0.06], answer_spread=[0.2, 0.2]).is_seen
    assert "Nobody looked" in all_well(verdict(WATCHED, [], CASES))
    assert "Nobody could see" in all_well(verdict(WATCHED, [Look(0, {"loss": 1.0})], CASES))


@pytest.mark.parametrize(
    ("score", "words"), [("spread", "features"), ("answer_spread", "answers"), ("projection_spread", "projections")]
)
def test_scores_are_named_by_what_they_are_of(score: str, words: str) -> None:
    assert answers(score) == words


@given(st.lists(st.sampled_from([0.0, 0.0003, 0.004, 0.02, 0.05]), min_size=1, max_size=12))
def test_a_verdict_is_that_of_its_last_look_and_a_resumed_run_says_the_same(spreads: list[float]) -> None:
    whole = judged(spreads)
    well = [k for k in range(len(spreads)) if not judged(spreads[: k + 1]).collapsed]
    assert whole.last_well == (well[-1] if well else None)
    assert whole == judged(list(spreads))
