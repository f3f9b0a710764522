"""Rounds go forward only: what a hospital that answered a round answers next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.answered_rounds import FOLDER, digest_of, go_forward, rewind
from common.errors import HospitalError, WireError
from common.learning.client_work import Work
from common.wire.train_requests import Order

STUDY, RUN, OTHER = "5" * 64, "a" * 32, "b" * 32


def order(number: int, change: float = 0.0) -> Order:
    return Order("{}", number, np.full(3, change, np.float32), Work("delta"))


@pytest.fixture(params=["in memory", "on the disk"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | None, dict[str, bytes]]:
    return (tmp_path if request.param == "on the disk" else None), {}


def test_a_later_round_and_the_very_same_order_are_answered(kept: tuple[Path | None, dict[str, bytes]]) -> None:
    for number in (1, 1, 2, 5, 5, 41):
        go_forward(*kept, STUDY, RUN, order(number))


def test_an_earlier_round_is_refused_with_both_numbers(kept: tuple[Path | None, dict[str, bytes]]) -> None:
    go_forward(*kept, STUDY, RUN, order(5))
    with pytest.raises(WireError, match="round 3 was asked for after round 5"):
        go_forward(*kept, STUDY, RUN, order(3))


@pytest.mark.parametrize(
    "other",
    [
        order(5, 1e-7),
        replace(order(5), evaluate=("test",)),
        replace(order(5), work=None),
        replace(order(5), clip_norm=1.0),
        replace(order(5), control=np.zeros(3, np.float32)),
        replace(order(5), study_json="{ }"),
    ],
)
def test_the_same_round_with_another_order_is_refused(
    kept: tuple[Path | None, dict[str, bytes]], other: Order
) -> None:
    go_forward(*kept, STUDY, RUN, order(5))
    assert digest_of(other) != digest_of(order(5))
    with pytest.raises(WireError, match="round 5 was answered before, and another order came"):
        go_forward(*kept, STUDY, RUN, other)
    go_forward(*kept, STUDY, RUN, order(5))


def test_runs_and_studies_are_counted_apart(kept: tuple[Path | None, dict[str, bytes]]) -> None:
    go_forward(*kept, STUDY, RUN, order(5))
    go_forward(*kept, STUDY, OTHER, order(1))
    go_forward(*kept, "6" * 64, RUN, order(1))


def test_a_rewind_approved_in_the_hospital_lets_a_restored_coordinator_go_on_once_more(tmp_path: Path) -> None:
    go_forward(tmp_path, {}, STUDY, RUN, order(7))
    assert rewind(tmp_path, STUDY, 3) == 1
    with pytest.raises(WireError, match="round 2 was asked for after round 3"):
        go_forward(tmp_path, {}, STUDY, RUN, order(2))
    with pytest.raises(WireError, match="another order came"):
        go_forward(tmp_path, {}, STUDY, RUN, order(3))
    go_forward(tmp_path, {}, STUDY, RUN, order(4, 0.5))
    assert rewind(tmp_path, STUDY, 3) == 1
    assert rewind(tmp_path, "6" * 64, 3) == 0


def test_a_damaged_file_refuses_and_names_itself(tmp_path: Path) -> None:
    go_forward(tmp_path, {}, STUDY, RUN, order(1))
    (path,) = (tmp_path / FOLDER / STUDY).iterdir()
    path.write_bytes(b'{"round": 1')
    with pytest.raises(HospitalError, match=FOLDER):
        go_forward(tmp_path, {}, STUDY, RUN, order(2))
