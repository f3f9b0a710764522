"""Who ran what: in the run's record, in the report, and said where it changed between two parts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.data.cases import Shape
from common.study.study import Study, parse
from server.members import Member
from server.pins import Pins
from server.reporting.parsing import about_of
from server.reporting.records import Run
from server.reporting.sections.settings import settings
from server.run_folder import RunFolder

ONE, OTHER = "a" * 64, "b" * 64
TEXT = """
title = "Programs"
rounds = 1
source = "heart"
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
"""


@pytest.fixture
def study() -> Study:
    return parse(TEXT)


def members(**programs: str) -> dict[str, Member]:
    counts = dict.fromkeys(("train", "validation", "test"), 4)
    shape = Shape((13,), 2)
    return {
        site: Member(site, counts, counts, 0, (2, 2), shape, ("no", "yes"), program=program)
        for site, program in programs.items()
    }


def test_a_change_between_two_parts_of_a_run_is_said_once_and_by_name(study: Study, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    Pins.begun(folder, study, {}).compare(members(north=ONE, south=ONE), 0, False)
    for _ in range(2):
        resumed = Pins.resumed(folder, study, {}, 4)
        resumed.compare(members(north=ONE, south=OTHER), 4, False)
    assert resumed.changes == [f"south ran program {'a' * 12} until round 4, and then {'b' * 12}."]
    silent = Pins.resumed(folder, study, {}, 6)
    silent.compare(members(north="", south=OTHER), 6, False)
    assert silent.changes[-1] == f"north ran program {'a' * 12} until round 6, and then one of which it says nothing."


def shown(programs: Any) -> str:
    return str(settings(Run("a run", about=about_of({"programs": programs}, 1))))


def said(digest: str, *versions: str) -> dict[str, object]:
    return {"digest": digest, "versions": list(versions)}


def test_one_line_says_what_all_ran_and_names_are_said_where_they_differ() -> None:
    alike = shown({"north": said(ONE, "wardround 1", "torch 2"), "south": said(ONE, "wardround 1", "torch 2")})
    assert alike.count(ONE) == 1 and "all hospitals: wardround 1, torch 2" in alike and "north" not in alike
    apart = shown({"north": said(ONE, "wardround 1"), "south": said(OTHER, "wardround 2"), "west": said("")})
    assert "north: wardround 1" in apart and "south: wardround 2" in apart and OTHER in apart
    assert "west: nothing is known of it" in apart


@pytest.mark.parametrize("programs", [None, 7, [], {"north": 7}, {"north": {"digest": [], "versions": "x"}}])
def test_a_record_that_says_something_else_is_shown_without(programs: Any) -> None:
    assert "The study as run" in shown(programs)


def test_a_run_of_before_says_nothing_of_programs() -> None:
    assert "Programs of the hospitals" not in shown({})
