"""A hospital computes at its own hours; what began may end, and a clock that was set back opens nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.hours import DAYS, FILE, demand_open, is_open, windows_of
from client.policy import POLICY_FILE, read_policy
from common.errors import HospitalError, RefusedError, StudyError

NIGHT = windows_of("22:00-06:00", "hours")
TONIGHT = datetime(2026, 11, 27, 23, 0, tzinfo=UTC)  # a Friday


def at(hour: int, minute: int = 0, day: int = 27) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "when", "expected"),
    [
        ("22:00-06:00", at(22), True),
        ("22:00-06:00", at(21, 59), False),
        ("22:00-06:00", at(5, 59), True),
        ("22:00-06:00", at(6), False),
        ("08:00-17:00", at(8), True),
        ("08:00-17:00", at(17), False),
        ("00:00-24:00", at(23, 59), True),
        ("Mon-Fri 22:00-06:00", at(23), True),  # Friday night
        ("Mon-Fri 22:00-06:00", at(5, 0, 28), True),  # it goes on into Saturday
        ("Mon-Fri 22:00-06:00", at(23, 0, 28), False),  # Saturday night does not begin
        ("Sat,Sun 00:00-24:00", at(12, 0, 28), True),
        ("Fri-Mon 10:00-11:00", at(10, 0, 30), True),
        ("Fri-Mon 10:00-11:00", at(10, 0, 25), False),
        ("Tue 10:00-11:00; 23:00-23:30", at(23, 10), True),
        ("saturday 1:00-2:00", at(1, 30, 28), True),
    ],
)
def test_windows_hold_what_a_calendar_says(text: str, when: datetime, expected: bool) -> None:
    assert is_open(windows_of(text, "hours"), "UTC", when) is expected


def test_hours_are_of_the_time_zone_summer_and_winter() -> None:
    assert is_open(NIGHT, "Europe/Berlin", at(21))  # 22:00 in Berlin in winter
    assert not is_open(NIGHT, "Europe/Berlin", datetime(2026, 7, 1, 4, 30, tzinfo=UTC))  # 06:30 in summer


@given(
    begin=st.integers(0, 1439), end=st.integers(0, 1439), days=st.sets(st.integers(0, 6), min_size=1),
    minute=st.integers(0, 7 * 1440 - 1),
)  # fmt: skip
def test_a_window_is_the_minutes_that_one_counts_from_its_beginning(
    begin: int, end: int, days: set[int], minute: int
) -> None:
    if begin == end:
        return
    length = (end - begin) % 1440
    inside = {(day * 1440 + begin + step) % (7 * 1440) for day in days for step in range(length)}
    text = f"{','.join(DAYS[day] for day in days)} {begin // 60}:{begin % 60:02}-{end // 60}:{end % 60:02}"
    when = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minute)  # a Monday
    assert is_open(windows_of(text, "hours"), "UTC", when) is (minute in inside)


@pytest.mark.parametrize(
    "text", ["", "22:00", "22:00-22:00", "25:00-06:00", "10:60-11:00", "Mun 10:00-11:00", "24:00-06:00"]
)
def test_what_is_no_window_is_said(text: str) -> None:
    with pytest.raises(StudyError, match="hours"):
        windows_of(text, "hours")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('hours = "22-6"', "windows of the day"),
        ('hours = "22:00-06:00"\ntime_zone = "Europe/Belrin"', "time_zone must be one that this machine knows"),
        ('hours = "22:00-06:00"\ntime_zone = "../../etc/passwd"', "time_zone must be one"),
        ('time_zone = "Europe/Berlin"', "no hours"),
        ('hour = "22:00-06:00"', "did you mean 'hours'"),
    ],
)
def test_a_policy_with_other_hours_is_refused_with_the_remedy(tmp_path: Path, lines: str, reason: str) -> None:
    (tmp_path / POLICY_FILE).write_text(lines)
    with pytest.raises(StudyError, match=reason):
        read_policy(tmp_path)


def test_out_of_hours_it_refuses_and_a_round_that_began_may_end(tmp_path: Path) -> None:
    demand_open(NIGHT, "UTC", tmp_path, "study run 3", at(5, 59, 28))
    demand_open(NIGHT, "UTC", tmp_path, "study run 3", at(6, 30, 28))
    for other in ("study run 4", "another run 3", "study other 3"):
        with pytest.raises(RefusedError) as refusal:
            demand_open(NIGHT, "UTC", tmp_path, other, at(6, 30, 28))
        assert refusal.value.reason == "hours"
    with pytest.raises(RefusedError):
        demand_open(NIGHT, "UTC", tmp_path, "study run 3", at(18, 30, 28))  # no round takes a day


def test_a_clock_that_was_set_back_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="out of the policy's hours"):
        demand_open(NIGHT, "UTC", tmp_path, "a", at(12, 0, 28))
    with pytest.raises(RefusedError, match="it was set back"):
        demand_open(NIGHT, "UTC", tmp_path, "a", at(23, 0, 27))
    demand_open(NIGHT, "UTC", tmp_path, "a", at(23, 0, 28))
    (tmp_path / FILE).unlink()
    demand_open(NIGHT, "UTC", tmp_path, "a", at(23, 0, 27))


def test_a_clock_that_is_corrected_by_seconds_is_not_set_back(tmp_path: Path) -> None:
    demand_open(NIGHT, "UTC", tmp_path, "a", TONIGHT)
    demand_open(NIGHT, "UTC", tmp_path, "b", TONIGHT - timedelta(seconds=90))


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"latest": "soon", "begun": "", "at": ""}'])
def test_a_damaged_file_of_hours_opens_nothing(tmp_path: Path, damage: str) -> None:
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(HospitalError, match="remove it"):
        demand_open(NIGHT, "UTC", tmp_path, "a", TONIGHT)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"latest": "2020-01-01T00:00:00+00:00", "begun": "", "at": ""}')
    (tmp_path / FILE).symlink_to("elsewhere")
    with pytest.raises(HospitalError):
        demand_open(NIGHT, "UTC", tmp_path, "a", TONIGHT)


def test_the_zone_of_the_machine_is_meant_where_none_is_named() -> None:
    when = datetime.now(UTC)
    assert is_open(windows_of("00:00-24:00", "hours"), "", when)
    assert ZoneInfo("UTC")
