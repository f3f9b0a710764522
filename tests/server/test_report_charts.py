"""Axes, labels, lines, bars, rows of rounds, words and escaping."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.reporting.charts.bars import Part, bar, stacked_bar
from server.reporting.charts.lines import Band, Line, line_chart
from server.reporting.charts.scale import Scale, extent, spread, ticks
from server.reporting.charts.timeline import bins, cells, timeline_row
from server.reporting.markup import Markup, escaped, table, tag
from server.reporting.records import Drop, Round
from server.reporting.wording import count, difference, duration, listed, percent, plain, score, shortened, size

FINITE = st.floats(-1e6, 1e6)


def rounds(*rows: tuple[str, str, str]) -> list[Round]:
    """(selected, contributed, dropped), one letter a hospital."""
    return [
        Round(
            number,
            tuple(selected),
            tuple(done),
            tuple(Drop(site, "round", "late") for site in lost),
            {},
            {},
            None,
            {},
            {},
            0,
            0,
        )
        for number, (selected, done, lost) in enumerate(rows, 1)
    ]


def test_ticks_are_round_numbers() -> None:
    assert ticks(0, 1) == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert ticks(0.55, 0.93) == (0.6, 0.7, 0.8, 0.9)
    assert ticks(1, 3, most=6, whole=True) == (1, 2, 3)


@given(FINITE, st.floats(1e-3, 1e6))
def test_ticks_lie_within_their_limits_in_equal_steps(low: float, length: float) -> None:
    marks = ticks(low, low + length)
    assert all(low - 1e-6 * length <= mark <= low + length * (1 + 1e-6) for mark in marks)
    steps = [b - a for a, b in pairwise(marks)]
    assert len(marks) <= 7 and (not steps or max(steps) - min(steps) < 1e-6 * max(1, abs(low), length))


@given(st.lists(FINITE, max_size=8))
def test_an_axis_holds_all_its_values(values: list[float]) -> None:
    low, high = extent(values)
    slack = 1e-9 * max(1, abs(low), abs(high))
    assert low < high and all(low - slack <= value <= high + slack for value in values)


def test_an_axis_of_scores_ends_at_one_and_starts_at_zero_when_that_is_near() -> None:
    assert extent([0.2, 0.97]) == (0.0, 1.0)
    assert extent([0.82, 0.99]) == pytest.approx((0.8, 1.0))


@given(st.lists(st.floats(0, 200), min_size=1, max_size=9))
def test_labels_keep_their_order_and_their_distance(places: list[float]) -> None:
    found = spread(places, 14, 0, 200)
    order = sorted(range(len(places)), key=lambda k: places[k])
    assert all(found[b] - found[a] >= 14 - 1e-6 for a, b in pairwise(order))
    assert min(found) >= -1e-6 and max(found) <= 200 + 1e-6


def test_labels_that_do_not_touch_stay_where_they_are() -> None:
    assert spread([10, 50, 90], 14, 0, 100) == [10, 50, 90]


def test_a_line_is_broken_where_a_value_is_missing() -> None:
    points = ((1.0, 0.1), (2.0, None), (3.0, 0.3), (4.0, 0.4))
    chart = line_chart([Line("Oslo", points, "c1")], describe="d", x_word="round", words=score)
    path = re.search(r'<path d="([^"]+)" class="line c1"', chart)
    assert path and path[1].count("M") == 2 and path[1].count("L") == 1
    assert "round 2\n" not in chart and "round 3\nOslo: 0.300" in chart


def test_a_chart_without_any_value_says_so() -> None:
    chart = line_chart([Line("Oslo", ((1.0, None),), "c1")], describe="d", x_word="round", words=score)
    assert "No value was recorded." in chart


def test_a_band_names_its_range_on_hover() -> None:
    low, high = ((1.0, 0.25), (2.0, 0.5)), ((1.0, 0.75), (2.0, 0.875))
    chart = line_chart([], [Band("middle", low, high, "inner")], describe="d", x_word="round", words=score)
    assert "round 2\nmiddle: 0.500 to 0.875" in chart


@given(st.lists(st.none() | FINITE, min_size=1, max_size=12))
def test_every_place_in_a_chart_is_a_finite_number_within_it(values: list[float | None]) -> None:
    points = tuple((float(k), value) for k, value in enumerate(values))
    chart = line_chart([Line("a", points, "c1")], describe="d", x_word="round", words=score)
    assert "nan" not in chart and "inf" not in chart
    for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", chart):
        assert 0 <= float(x) <= 490 and 0 <= float(y) <= 290


def test_the_width_of_a_bar_is_its_share() -> None:
    assert 'width="62.50%"' in bar(0.625, "0.625", "federated")
    assert 'width="100.00%"' in bar(7.0, "7", "federated") and 'width="0.00%"' in bar(-1.0, "-1", "federated")


def test_parts_of_a_stacked_bar_start_where_the_last_one_ended() -> None:
    drawn = stacked_bar([Part("a", 1, "c1", "1"), Part("b", 0, "c2", "0"), Part("c", 3, "c3", "3")])
    assert 'x="0.000%" width="25.000%"' in drawn and 'x="25.000%" width="75.000%"' in drawn
    assert "c2" not in drawn


def test_scale_maps_ends_to_ends() -> None:
    scale = Scale(2, 4, 100, 0)
    assert (scale(2), scale(3), scale(4)) == (100, 50, 0)


def test_a_column_of_rounds_shows_the_gravest_of_them() -> None:
    found = rounds(("ab", "ab", ""), ("ab", "a", "b"), ("a", "a", ""), ("a", "", ""))
    assert [cell.state for cell in cells("a", bins(found))] == ["contributed"] * 3 + ["dropped"]
    assert [cell.state for cell in cells("b", bins(found))] == ["contributed", "dropped", "idle", "idle"]
    assert [cell.state for cell in cells("b", bins(found, most=2))] == ["dropped", "idle"]


def test_a_reply_that_is_missing_without_a_reason_is_not_passed_over() -> None:
    (cell,) = cells("a", bins(rounds(("a", "", ""))))
    assert cell.reasons == ("round 1: selected, but no contribution was recorded",)


def test_equal_neighbours_are_one_bar_and_every_drop_tells_its_own_reason() -> None:
    found = rounds(("a", "a", ""), ("a", "a", ""), ("a", "", "a"), ("a", "", "a"))
    drawn = timeline_row("a", bins(found))
    assert drawn.count("<rect") == 3
    assert "a, rounds 1 to 2: contributed" in drawn and "round 4, round: late" in drawn


def test_text_becomes_markup_only_through_escaping() -> None:
    assert tag("p", "<b>&\"'", Markup("<i></i>"), title='"') == (
        '<p title="&quot;">&lt;b&gt;&amp;&quot;&#x27;<i></i></p>'
    )
    assert escaped("a\u202eb\x00c\nd") == "a\ufffdb\ufffdc\nd"


def test_attributes_of_none_and_false_are_left_out() -> None:
    assert (
        tag("details", open=True, class_=None, hidden=False, data_tip=1.5)
        == '<details open data-tip="1.5"></details>'
    )


def test_a_table_has_a_head_and_a_name_for_every_row() -> None:
    drawn = table(["Hospital", "Cases"], [["Oslo", "<7>"]])
    assert '<th scope="row">Oslo</th><td class="number">&lt;7&gt;</td>' in drawn


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (size(999), "999\u00a0bytes"),
        (size(1000), "1.0\u00a0kB"),
        (size(999_960), "1.0\u00a0MB"),
        (size(123_456_789), "123\u00a0MB"),
        (duration(0.0123), "12\u00a0ms"),
        (duration(9.25), "9.2\u00a0s"),
        (duration(221.4), "3\u00a0min 41\u00a0s"),
        (duration(7_500), "2\u00a0h 5\u00a0min"),
        (duration(None), "\u2013"),
        (percent(0.004), "0.4\u00a0%"),
        (percent(0.6251), "63\u00a0%"),
        (score(0.87149), "0.871"),
        (score(-0.0001), "0.000"),
        (score(1234.5), "1234"),
        (difference(0.0714), "+0.071"),
        (difference(-0.02), "\u22120.020"),
        (difference(0.0001), "0.000"),
        (plain(-0.5), "\u22120.5"),
        (count(1, "hospital"), "1 hospital"),
        (count(12345, "reply", "replies"), "12,345 replies"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed(["a", "b", "c", "d"], most=3), "a, b and 2 more"),
        (shortened("Hospital of the Long Name", 10), "Hospital\u2026"),
    ],
)
def test_numbers_and_names_as_a_person_reads_them(said: str, expected: str) -> None:
    assert said == expected
