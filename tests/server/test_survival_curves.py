"""Kaplan-Meier, log-rank, ROC and confusion: worked out by hand, and against slow and obvious formulas."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.concordance import Concordance
from server.reporting.patients import Answers
from server.reporting.sections.answers import confusion_of, roc_of
from server.reporting.survival import Group, by_risk, kaplan_meier, log_rank, steps


def test_a_kaplan_meier_curve_worked_out_by_hand() -> None:
    times, events = [1.0, 2.0, 2.0, 3.0, 4.0], [True, True, False, True, False]
    points = kaplan_meier(times, events)
    assert [time for time, _ in points] == [0.0, 1.0, 2.0, 3.0]
    assert [share for _, share in points] == pytest.approx([1.0, 4 / 5, 4 / 5 * 3 / 4, 4 / 5 * 3 / 4 * 1 / 2])


def test_without_censoring_the_curve_is_the_share_that_is_left() -> None:
    times = [5.0, 1.0, 3.0, 3.0]
    assert dict(kaplan_meier(times, [True] * 4)) == pytest.approx({0.0: 1.0, 1.0: 0.75, 3.0: 0.25, 5.0: 0.0})


def test_a_curve_is_drawn_in_steps_to_the_end_of_observation() -> None:
    assert steps([(0.0, 1.0), (2.0, 0.5)], 3.0) == [(0.0, 1.0), (2.0, 1.0), (2.0, 0.5), (3.0, 0.5)]


def test_a_log_rank_test_worked_out_by_hand() -> None:
    """Two groups, events at 1 (of 4 at risk, 2 a group), 2 (of 3, 1 and 2) and 3 (of 2, both of the second)."""
    first = Group("a", (1.0, 2.0), (True, True))
    second = Group("b", (3.0, 4.0), (True, False))
    expected = 2 / 4 + 1 / 3 + 0
    variance = 1 / 2 * 1 / 2 + 1 / 3 * 2 / 3 + 0
    found = log_rank([first, second])
    assert found is not None
    assert found[0] == pytest.approx((2 - expected) ** 2 / variance)


members = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=3, max_size=12)


@settings(max_examples=60, deadline=None)
@given(members, members)
def test_two_groups_against_the_formula_of_mantel(one: list[tuple[int, bool]], other: list[tuple[int, bool]]) -> None:
    excess = variance = 0.0
    for time in range(1, 7):
        n1, n2 = (sum(t >= time for t, _ in group) for group in (one, other))
        d1, d2 = (sum(t == time and e for t, e in group) for group in (one, other))
        n, d = n1 + n2, d1 + d2
        if d:
            excess += d1 - d * n1 / n
            variance += d * (n1 / n) * (n2 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    groups = [
        Group(str(k), tuple(float(t) for t, _ in group), tuple(e for _, e in group))
        for k, group in enumerate((one, other))
    ]
    found = log_rank(groups)
    if variance < 1e-12:
        assert found is None
    else:
        assert found is not None
        assert found[0] == pytest.approx(excess**2 / variance)


def test_thirds_by_risk_hold_all_and_keep_equal_risks_together() -> None:
    risks = [0.1] * 6 + [0.5] * 6 + [0.9] * 6
    groups = by_risk(risks, [float(k) for k in range(18)], [True] * 18)
    assert [len(one.times) for one in groups] == [6, 6, 6]
    assert by_risk([0.5] * 18, [1.0] * 18, [True] * 18) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=20))
def test_the_area_under_a_roc_curve_is_the_share_of_pairs_in_order(cases: list[tuple[int, bool]]) -> None:
    values, truth = [float(v) for v, _ in cases], [t for _, t in cases]
    points, area = roc_of(values, truth)
    pairs = [(p, n) for (p, a), (n, b) in product(cases, cases) if a and not b]
    if not pairs:
        assert (points, area) == ([], None)
        return
    assert area == pytest.approx(sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs))
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)


def test_the_confusion_matrix_counts_cases_by_truth_and_likeliest_class() -> None:
    answers = Answers("classes", true=(0, 0, 1), chances=((0.9, 0.1), (0.2, 0.8), (0.4, 0.6)))
    assert confusion_of(answers) == ((1, 1), (0, 1))


def test_a_risk_that_orders_all_patients_parts_the_curves() -> None:
    times = [float(k) for k in range(1, 19)]
    groups = by_risk([-t for t in times], times, [True] * 18)
    found = log_rank(groups)
    assert found is not None and found[1] < 0.001
    assert Concordance.of([-t for t in times], times, [True] * 18).index == 1.0
