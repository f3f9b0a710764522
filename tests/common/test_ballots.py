"""Votes in a sum: honest ones add up, and what one hospital adds or takes away shows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as some

from common.errors import WireError
from common.sums.ballots import CHOICES, NAMES, PLACES, Choice, Votes, ballot, counted
from common.sums.mean import Mean, merge


@given(some.lists(some.sampled_from(CHOICES), max_size=8))
def test_honest_votes_are_counted_whoever_cast_them(choices: list[Choice]) -> None:
    votes = counted(merge(map(ballot, choices)), len(choices))
    assert votes == Votes(*(choices.count(choice) for choice in CHOICES))
    assert votes.cast == len(choices) - choices.count("silent")


def test_a_ballot_is_one_vote_in_one_of_many_places_and_all_are_used() -> None:
    drawn = [next(iter(ballot("fine"))) for _ in range(40 * PLACES)]
    assert set(drawn) == {name for name in NAMES if name.startswith("fine")}


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"worse_00": Mean(2, 0)}, "4 hospitals cast 5 votes"),
        ({}, "4 hospitals cast 3 votes"),
        ({"worse_00": Mean(-1, 0), "fine_00": Mean(2, 0)}, "taken away that nobody had cast"),
        ({"fine_00": Mean(1, 1)}, "taken away that nobody had cast"),
        ({"better_00": Mean(1, 0)}, "none of theirs"),
    ],
)
def test_what_one_hospital_adds_or_takes_away_shows(added: Mapping[str, Mean], said: str) -> None:
    honest = [{"worse_07": Mean(1, 0)}, {"worse_63": Mean(1, 0)}, {"fine_01": Mean(1, 0)}]
    with pytest.raises(WireError, match=said):
        counted(merge([*honest, added]), 4)
