"""A round is asked for again where a hospital that refused for now may come, and only there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from common.study.federation import Federation
from common.sums.cohort import Cohort
from common.sums.exchange import Collected
from common.wire.refusals import SENTENCES
from server import dropout_wait as waiting
from server.dropout_wait import Waiting
from server.exchange import Dropped, GridExchange

TWO = Cohort(("a", "b"), 2)


@dataclass
class Drops:
    """In the place of an exchange."""

    dropped: list[Dropped] = field(default_factory=list)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE_S", 0.001)


def attempts(cohort: Cohort, word: str, **settings: Any) -> int:
    """How often a round is asked for in which b refuses three times, and then comes."""
    exchange = Drops()
    asked = Waiting(Federation(**{"dropout_wait_s": 60.0, **settings}), cohort, cast(GridExchange, exchange))

    def once() -> Collected:
        if asked.attempts > 3:
            return Collected(None, ("a", "b"), None, {})
        exchange.dropped.append(Dropped("b", "round", SENTENCES[word]))
        return Collected(None, ("a",), None, {})

    asked.collect(once)
    return asked.attempts


@pytest.mark.parametrize("word", ["hours", "approval"])
def test_a_round_with_too_few_waits_for_who_refused_for_now(word: str) -> None:
    assert attempts(TWO, word) == 4


@pytest.mark.parametrize("word", ["budget", "declined", "program", "tasks"])
def test_nobody_waits_for_who_will_not_come(word: str) -> None:
    assert attempts(TWO, word) == 1


def test_a_round_with_enough_goes_on_without() -> None:
    assert attempts(Cohort(("a", "b"), 1), "hours") == 1


def test_where_noise_is_paid_for_no_round_is_asked_for_again() -> None:
    assert attempts(Cohort(("a", "b"), 2, is_covered=True), "hours") == 1


def test_a_study_that_stops_on_a_dropout_stops() -> None:
    assert attempts(TWO, "hours", on_dropout="stop") == 1


def test_the_wait_is_the_studys() -> None:
    assert attempts(TWO, "hours", dropout_wait_s=0.0) == 1
