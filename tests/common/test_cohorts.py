"""Who is asked in a round, and whose sums may be opened: groups stay whole over all rounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StudyError, WireError
from common.privacy.study_facts import facts_of
from common.study.federation import Federation
from common.study.study import Study, parse
from common.sums.cohort import Cohort
from common.sums.cohorts import (
    Cohorts,
    groups_of,
    hospitals_at_start,
    least_in_sum,
    noise_shares,
    noise_shares_in_sum,
)

TEXT = """
title = "Cohorts"
rounds = 40
seed = 3
source = "heart"
task = { name = "classification", network = "logistic" }
strategy = "fedsgd"
aggregation = "secagg"
"""
DPSGD = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-3}'


def study(*overrides: str) -> Study:
    return parse(TEXT, overrides)


def sites(count: int) -> tuple[str, ...]:
    return tuple(f"hospital-{place:03d}" for place in range(count))


def test_without_settings_all_hospitals_are_one_group_and_a_sum_needs_two_thirds_of_them() -> None:
    cohorts = Cohorts.of(study(), sites(5))
    assert cohorts.groups == (sites(5),)
    assert cohorts.least == 4
    assert cohorts.of_round(1) == Cohort(sites(5), 4, (sites(5),))
    assert cohorts.effective_fraction == 1.0


@pytest.mark.parametrize(
    ("count", "fraction", "least", "expected"),
    [(4, 1.0, None, 3), (9, 1.0, None, 6), (100, 0.1, None, 7), (9, 1.0, 5, 5)],
)
def test_the_fewest_in_a_sum_are_two_thirds_of_a_round_and_at_least_three(
    count: int, fraction: float, least: int | None, expected: int
) -> None:
    said = [] if least is None else [f"federation.least_in_sum={least}"]
    assert least_in_sum(study(f"federation.client_fraction={fraction}", *said), count) == expected


def test_where_single_updates_are_read_one_reply_is_enough_unless_the_study_says_more() -> None:
    assert least_in_sum(study("aggregation=plain"), 9) == 1
    assert least_in_sum(study("aggregation=plain", "federation.least_in_sum=2"), 9) == 2


def test_a_sum_of_two_is_refused_with_the_reason() -> None:
    with pytest.raises(StudyError, match=r"least_in_sum must be 3 or more .* it is 2"):
        Cohorts.of(study("federation.least_in_sum=2"), sites(5))


def test_more_in_a_sum_than_a_round_asks_is_refused_with_both_numbers() -> None:
    with pytest.raises(StudyError, match=r"least_in_sum = 5, and a round may ask as few as 4 of 8"):
        Cohorts.of(
            study("aggregation=plain", "federation.least_in_sum=5", "federation.client_fraction=0.5"), sites(8)
        )


@given(count=st.integers(3, 60), size=st.integers(1, 12), seed=st.integers(0, 5))
def test_every_hospital_is_in_one_group_of_enough_and_fewer_than_twice_as_many_are_one(
    count: int, size: int, seed: int
) -> None:
    groups = groups_of(Federation(), sites(count), size)
    assert sorted(site for group in groups for site in group) == list(sites(count))
    assert len(groups) == max(count // size, 1)
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


@given(count=st.integers(6, 40), least=st.integers(3, 5), fraction=st.floats(0.3, 1.0), seed=st.integers(0, 9))
def test_no_combination_of_opened_sums_over_all_rounds_tells_members_of_a_group_apart(
    count: int, least: int, fraction: float, seed: int
) -> None:
    """The law behind it: in every opened set, members of one group are both in it or both not."""
    asked = study(f"federation.client_fraction={fraction}", f"federation.least_in_sum={least}", f"seed={seed}")
    try:
        cohorts = Cohorts.of(asked, sites(count))
    except StudyError:
        return
    opened = np.zeros((41, count), bool)
    for number in range(1, 42):
        there = {site for site in sites(count) if (number * 7 + int(site[-3:])) % 11}
        for site in cohorts.of_round(number).openable(there):
            opened[number - 1, int(site[-3:])] = True
    for group in cohorts.groups:
        columns = opened[:, [int(site[-3:]) for site in group]]
        assert (columns.all(axis=1) | ~columns.any(axis=1)).all()
        assert len(group) >= least


def test_the_drawn_share_of_whole_groups_is_near_what_was_asked() -> None:
    cohorts = Cohorts.of(study("federation.client_fraction=0.25", "federation.least_in_sum=3"), sites(24))
    assert len(cohorts.groups) == 8
    assert cohorts.effective_fraction == pytest.approx(0.25)
    assert len({cohorts.of_round(number).sites for number in range(1, 41)}) > 5


def test_colluding_hospitals_make_groups_larger() -> None:
    asked = study("federation.least_in_sum=3", 'aggregation={name="secagg",colluding=2}')
    assert min(map(len, Cohorts.of(asked, sites(20)).groups)) >= 5


def test_a_member_that_is_lost_takes_its_group_out_and_no_other() -> None:
    cohort = Cohort(sites(6), 3, (sites(6)[:3], sites(6)[3:]))
    assert cohort.openable(set(sites(6)) - {"hospital-001"}) == sites(6)[3:]
    assert cohort.demanding(6).openable(set(sites(6)) - {"hospital-001"}) == ()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (sites(6)[:2], "2 hospitals are named; this round needs 3"),
        (sites(6)[:4], "whole groups of hospitals only"),
        (sites(6)[1:], "whole groups of hospitals only"),
        ((*sites(6)[:3], "hospital-099"), "hospitals that this round does not have"),
    ],
)
def test_a_sum_of_any_other_set_is_refused(named: tuple[str, ...], said: str) -> None:
    cohort = Cohort(sites(6), 3, (sites(6)[:3], sites(6)[3:]))
    cohort.refuse_opening(sites(6)[:3])
    cohort.refuse_opening(sites(6))
    with pytest.raises(WireError, match=said):
        cohort.refuse_opening(named)


def test_noise_that_covers_the_difference_lets_any_survivors_be_opened_but_not_their_final_scores() -> None:
    cohorts = Cohorts.of(study(DPSGD), sites(5))
    assert cohorts.of_round(7).openable(sites(5)[:4]) == sites(5)[:4]
    assert cohorts.of_round(7).is_covered
    final = cohorts.of_round(41)
    assert not final.is_covered
    assert final.openable(sites(5)[:4]) == ()


def test_groups_can_be_switched_off_for_research() -> None:
    cohorts = Cohorts.of(study('federation.groups="off"'), sites(5))
    assert cohorts.of_round(1).openable(sites(5)[:4]) == sites(5)[:4]


def test_named_groups_stand_and_those_that_join_later_need_a_group_of_their_own() -> None:
    old = [f'{{name="{site}",key="{str(place) * 64}",group="2025"}}' for place, site in enumerate(sites(3))]
    new = [f'{{name="n{place}",key="{"abc"[place] * 64}"}}' for place in range(3)]
    few = study("federation.least_in_sum=3", f"federation.roster=[{','.join(old + new[:1])}]")
    with pytest.raises(StudyError, match=r"group of 1 hospitals \(n0\) is too small: a sum needs 3"):
        Cohorts.of(few, few.federation.names)
    enough = study("federation.least_in_sum=3", f"federation.roster=[{','.join(old + new)}]")
    assert Cohorts.of(enough, enough.federation.names).groups == (sites(3), ("n0", "n1", "n2"))


def test_a_roster_names_every_hospital_once_and_gives_digests_of_keys() -> None:
    entry = f'{{name="a",key="{"a" * 64}"}}'
    with pytest.raises(StudyError, match="names 'a' more than once"):
        study(f"federation.roster=[{entry},{entry}]")
    with pytest.raises(StudyError, match="64 hexadecimal digits; it is 'abc'"):
        study('federation.roster=[{name="a",key="abc"}]')


def test_shares_of_noise_are_at_most_the_fewest_in_a_sum() -> None:
    assert noise_shares(study(), 6) == 4
    assert noise_shares(study("federation.noise_shares=2"), 6) == 2
    with pytest.raises(StudyError, match="at most the fewest hospitals in a sum, 4; it is 5"):
        noise_shares(study("federation.noise_shares=5"), 6)
    with pytest.raises(StudyError, match=r"at most federation\.least_in_sum, 3"):
        study("federation.noise_shares=4", "federation.least_in_sum=3")


def test_of_a_sparse_graph_those_that_could_be_left_out_of_a_sum_are_no_shares_of_noise() -> None:
    """Of 667 of a thousand 19: `_neighbourhood`. Whoever counts on fewer anyway loses nothing."""
    assert noise_shares_in_sum(study(), 6) == 4
    assert noise_shares_in_sum(study(), 1000) == 667 - 19
    assert noise_shares_in_sum(study("federation.noise_shares=600"), 1000) == 600
    assert noise_shares_in_sum(study("aggregation={name='secagg',neighbours='all'}"), 1000) == 667
    assert facts_of(study(), 10, 10, 1000).fewest == 667 - 19


def test_a_run_begins_with_all_that_are_expected_unless_the_study_says_fewer() -> None:
    assert hospitals_at_start(study(), 6) == 6
    assert hospitals_at_start(study("federation.hospitals_at_start=4"), 6) == 4
    assert hospitals_at_start(study(), 0) == 1


def test_plain_draws_single_hospitals_as_mcmahan_does() -> None:
    cohorts = Cohorts.of(study("aggregation=plain", "federation.client_fraction=0.5"), sites(10))
    assert cohorts.groups == ()
    assert {len(cohorts.of_round(number).sites) for number in range(1, 41)} == {5}


def test_a_share_of_hospitals_scores_the_last_model_and_every_question_is_still_of_all() -> None:
    cohorts = Cohorts.of(study("aggregation=plain", "federation.evaluate_fraction=0.25"), sites(40))
    assert len(cohorts.of_round(cohorts.final_round).sites) == 10
    assert cohorts.of_round(cohorts.final_round + 1).sites == sites(40)
    assert len(cohorts.scoring(1)) == len(cohorts.scoring(2)) == 10
    assert cohorts.scoring(1) != cohorts.scoring(2)


def test_a_share_that_scores_under_sums_is_of_whole_groups() -> None:
    cohorts = Cohorts.of(study("federation.evaluate_fraction=0.3", "federation.least_in_sum=4"), sites(40))
    last = cohorts.of_round(cohorts.final_round)
    assert len(last.groups) == 3
    assert set(last.groups) < set(cohorts.final_groups)
    assert last.openable(last.sites) == last.sites == tuple(sorted(site for group in last.groups for site in group))


def test_a_share_too_small_for_a_sum_of_scores_is_refused_by_its_name() -> None:
    with pytest.raises(StudyError, match=r"evaluate_fraction = 0\.05 of 40 hospitals"):
        Cohorts.of(study("federation.evaluate_fraction=0.05", DPSGD, "federation.groups=off"), sites(40))
