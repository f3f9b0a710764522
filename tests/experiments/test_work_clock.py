"""Seconds of work: the processor's, and a part of the wall's, so that whatever waits ends too."""

from __future__ import annotations

from time import perf_counter, process_time

from experiments.evidence.budget import MOST_WAITING, Budget, WorkClock


def test_work_counts_and_waiting_counts_a_tenth() -> None:
    assert 5 <= WorkClock(worked=process_time() - 5)() < 5 + 1
    waited = 100 * MOST_WAITING
    assert 100 <= WorkClock(begun=perf_counter() - waited)() < 200
    assert WorkClock()() < 1


def test_a_budget_of_work_ends_though_nothing_works() -> None:
    clock = WorkClock(begun=perf_counter() - 20 * MOST_WAITING)
    budget = Budget(10.0, clock)
    assert budget.begun >= 20 and budget.left > 0
    assert Budget(0.0, WorkClock()).left == 0
