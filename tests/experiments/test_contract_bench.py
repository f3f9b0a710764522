"""The bench of the contract: its attacks work where a rule is off, and learn nothing where all are on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import client.app
import client.handlers
import client.protocol_context
from common.sums.aggregations import _secagg_client as _masked_sum
from common.sums.aggregations import _shared_sum, additive
from common.sums.cohort import Cohort
from experiments.benchmarks._contract_attacks import LEGS, Learnt
from experiments.benchmarks._contract_nodes import write_images
from experiments.benchmarks.contract import CHEATS, COLLUDES, KILLED, OFF, ON, Found, Way, _cell, ways


def learnt(excess: float) -> Learnt:
    return Learnt("a", 0.5 + excess, 0.5, 1.0, "none", 0.5)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path)
    return tmp_path


def cells(way: Way, folder: Path, *columns: str) -> Mapping[str, Found]:

    return {column: _cell(way, column, folder, lambda: None) for column in columns}


def test_an_interval_is_students_and_rounding_is_nothing() -> None:
    """Excesses .1, .2, .3: mean .2, deviation .1, t of 2 degrees 4.303: .2 +- 4.303 * .1 / sqrt(3)."""
    mean, low, high = Found([learnt(0.1), learnt(0.2), learnt(0.3)]).interval
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - 0.2484, 0.2 + 0.2484), abs=1e-4)
    assert Found([learnt(1e-8), learnt(-1e-8)]).interval == (0, 0, 0)
    assert str(Found([learnt(1e-8), learnt(0.0)])) == "0"
    assert Found([learnt(0.0), learnt(1e-9)]).holds
    assert not Found([learnt(0.3), learnt(0.31), learnt(0.32)]).holds


def test_rows_are_of_every_aggregation_strategy_and_coordinator() -> None:
    rows = list(ways())
    assert len(rows) == 5 * 3 * 4 + 3
    assert {row.aggregation for row in rows} == set(LEGS)
    assert {column for row in rows for column in row.columns} == set(OFF)


@pytest.mark.parametrize(("who", "columns"), [(CHEATS, ("groups", "cohort")), (COLLUDES, ("groups",))])
def test_who_cheats_learns_a_hospitals_update_only_where_groups_or_cohorts_are_off(
    who: str, columns: tuple[str, ...], images: Path
) -> None:
    found = cells(Way("additive", "fedsgd", who), images, ON, *columns)
    assert found[ON].interval == (0, 0, 0) and all(one.attack == "none" for one in found[ON].learnt)
    for column in columns:
        assert all(one.cosine > 0.999 for one in found[column].learnt), column
        assert found[column].interval[0] > 0.05


def test_a_hospital_killed_at_every_leg_tells_nobody_apart(images: Path) -> None:
    found = cells(Way("secagg", "fedsgd", KILLED), images, ON, "groups")
    assert found[ON].interval == (0, 0, 0)
    assert all(one.cosine > 0.99 for one in found["groups"].learnt)


def test_every_check_that_was_taken_out_is_put_back(images: Path) -> None:
    places = (
        (Cohort, "refuse_another"),
        (Cohort, "refuse_opening"),
        (_masked_sum, "open_once"),
        (additive, "open_once"),
        (_shared_sum, "FEWEST_ADDED"),
        (client.app, "go_forward"),
        (client.protocol_context, "cohort_of"),
        (client.handlers, "update_of"),
    )
    before = [getattr(*place) for place in places]
    cells(Way("additive", "fedsgd", COLLUDES), images, "all")
    assert all(getattr(*place) is one for place, one in zip(places, before, strict=True))
