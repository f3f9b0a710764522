"""Whole federations whose updates are beyond the range of their sums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital
from common.errors import TooFewHospitalsError
from common.learning.parameters import new_network, read
from common.study.study import Study, parse
from experiments.engines._quiet import run_quietly
from server import value_range
from server.checkpoint import load
from server.value_range import factor_of

NARROW = "{name='%s', largest_value=0.001}"
FEDAVG = ("strategy=fedavg", "training={batch_size=8,steps=2,learning_rate=0.1}", "rounds=2")
DPSGD = ("privacy={name='dpsgd',noise_multiplier=0.5,delta=1e-3}",)
CENTRAL = "privacy={name='hospital',noise_multiplier=0.1,delta=0.1}"


@pytest.fixture(scope="module")
def in_the_clear() -> dict[tuple[str, ...], Path]:
    return {}


def apart(clear: Path, other: Path) -> float:
    """How far the other model ends from the clear one, of the way that the clear one went."""
    start, end, found = start_of(clear), load(clear).parameters, load(other).parameters
    return float(np.linalg.norm(found - end) / np.linalg.norm(end - start))


def start_of(folder: Path) -> np.ndarray:
    study = parse((folder / "study.toml").read_text())
    hospital = open_hospital(study.json, 0)
    return read(new_network(hospital.task, hospital.train.shape, study.seed))


@pytest.mark.parametrize(
    ("aggregation", "privacy"), [("secagg", ()), ("additive", ()), ("bfv", ()), ("ckks", ()), ("secagg", DPSGD)]
)
def test_the_model_is_that_of_sums_in_the_clear(
    aggregation: str,
    privacy: tuple[str, ...],
    tiny: Callable[..., Study],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_the_clear: dict[tuple[str, ...], Path],
) -> None:
    """But for what up to 2 % of values cut a round leave; a range of 0.001 alone cuts most of it."""
    common = (*FEDAVG, *privacy, "federation.least_in_sum=4")
    if privacy not in in_the_clear:
        run_quietly(tiny(*common), tmp_path / "clear")
        in_the_clear[privacy] = tmp_path / "clear"
    clear = in_the_clear[privacy]
    outcome = run_quietly(tiny(*common, f"aggregation={NARROW % aggregation}"), tmp_path / "sum")
    ranges = [record["range"] for record in outcome.rounds]
    assert ranges[0]["repeats"] > 0
    assert [one["factor"] for one in ranges] == sorted(one["factor"] for one in ranges)
    assert ranges[-1]["factor"] == factor_of(load(tmp_path / "sum").state) > 1
    assert all(one["clipped"] <= 0.02 for one in ranges)
    assert sum(one["repeats"] for one in ranges[1:]) <= 1
    assert all(record["dropped"] == [] for record in outcome.rounds if not record["range"]["repeats"])
    assert apart(clear, tmp_path / "sum") < 0.1
    monkeypatch.setattr(value_range, "MOST_CLIPPED", 1.0)
    monkeypatch.setattr("client.protocol_context.MOST_CLIPPED", 1.0)
    run_quietly(tiny(*common, f"aggregation={NARROW % aggregation}"), tmp_path / "cut")
    assert apart(clear, tmp_path / "cut") > 0.5
    (told,) = (tmp_path / "cut" / "problems.jsonl").read_text().splitlines()
    assert '"range"' in told and "were cut to it" in told and "largest_value" in told


def test_a_hospital_whose_values_would_be_cut_sends_nothing_and_is_asked_again_in_a_wider_range(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    outcome = run_quietly(tiny(*FEDAVG, f"aggregation={NARROW % 'secagg'}", "rounds=1"), tmp_path)
    (record,) = outcome.rounds
    assert record["range"]["repeats"] > 0 and len(record["contributed"]) == 4
    assert any("beyond the range of the sum" in drop["reason"] for drop in record["dropped"])


def test_a_run_whose_values_no_range_holds_ends_and_says_why(tiny: Callable[..., Study], tmp_path: Path) -> None:
    with pytest.raises(TooFewHospitalsError, match="beyond the range of the sum"):
        run_quietly(tiny(*FEDAVG, "aggregation={name='secagg', largest_value=1e-7}"), tmp_path)


def test_what_no_noise_covers_decides_nothing(tiny: Callable[..., Study], tmp_path: Path) -> None:
    outcome = run_quietly(tiny(*FEDAVG, CENTRAL, f"aggregation={NARROW % 'secagg'}"), tmp_path)
    assert {tuple(record["range"].items()) for record in outcome.rounds} == {
        (("factor", 1), ("clipped", None), ("repeats", 0))
    }


def test_scaffolds_state_is_that_of_the_sum_that_counted(tiny: Callable[..., Study], tmp_path: Path) -> None:
    """Repeats, and a stop after the first round, leave the same hospitals' state as a range that was wide at once."""
    study = tiny("rounds=3", "strategy=scaffold", FEDAVG[1], f"aggregation={NARROW % 'secagg'}")
    whole = run_quietly(study, tmp_path / "whole")
    run_quietly(
        tiny("rounds=1", "strategy=scaffold", FEDAVG[1], f"aggregation={NARROW % 'secagg'}"), tmp_path / "one"
    )
    resumed = run_quietly(study, tmp_path / "one", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    assert whole.rounds[0]["range"]["repeats"] > 0
