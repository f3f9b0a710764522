"""Large replies come one at a time, and nobody waits for one that does not come."""

from __future__ import annotations

import pytest

from experiments.engines import _turns
from experiments.engines._turns import Turn, Turns


def test_the_next_begins_when_somebody_asks_again_after_the_one_before_is_done() -> None:
    turns, begun = Turns(), list[str]()
    first, second, third = Turn(), Turn(), Turn()
    for name, turn in (("a", first), ("b", second), ("c", third)):
        turns.ask(turn, lambda name=name: begun.append(name))  # type: ignore[misc]
    turns.look()
    assert begun == ["a"]
    first.is_done = True
    assert begun == ["a"]
    turns.look()
    turns.look()
    assert begun == ["a", "b"]


def test_one_that_does_not_go_on_or_that_nobody_takes_holds_up_the_others_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(_turns, "monotonic", lambda: now[0])
    turns, begun, stuck = Turns(), list[str](), Turn(now[0])
    turns.ask(stuck, lambda: begun.append("stuck"))
    turns.ask(Turn(now[0]), lambda: begun.append("other"))
    now[0] += _turns.PATIENCE_S
    stuck.go_on()
    now[0] += _turns.PATIENCE_S
    turns.look()
    assert begun == ["stuck"]
    now[0] += 0.1
    turns.look()
    assert begun == ["stuck", "other"]


def test_whoever_works_with_a_whole_reply_is_waited_for_longer_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(_turns, "monotonic", lambda: now[0])
    turns, begun, taken = Turns(), list[str](), Turn(now[0])
    turns.ask(taken, lambda: begun.append("taken"))
    taken.is_taken()
    now[0] += _turns.PATIENCE_WITH_WHOLE_S
    turns.ask(Turn(now[0]), lambda: begun.append("other"))
    assert begun == ["taken"]
    now[0] += 0.1
    turns.look()
    assert begun == ["taken", "other"]
