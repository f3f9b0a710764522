"""Whole runs under masks of a sparse graph of pairs: resumed, in groups, and what they move."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.hospital import site_names
from common.study.study import Study, parse
from common.sums.aggregations._neighbourhood import Neighbourhood
from common.sums.aggregations._witnesses import Witnesses
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.cohorts import Cohorts
from experiments.engines._quiet import run_quietly
from experiments.traffic_ahead import Ahead, ahead

TEXT = """
title = "Two groups of three"
rounds = 2
engine = "inline"
task = { name = "classification", network = { name = "mlp", hidden = [20, 20] } }
training = { epochs = 1, batch_size = 4, learning_rate = 0.1 }
federation = { least_in_sum = 3, evaluate_every = 0 }
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Of six hospitals, of whom each chooses two and draws two witnesses: too few for a promise, all legs alike."""
    monkeypatch.setattr(SecureAggregation, "graph_in", lambda self, hospitals: Neighbourhood(2, 1))
    monkeypatch.setattr(SecureAggregation, "witnesses_in", lambda self, hospitals: Witnesses(2, 1))
    place, rng = tmp_path / "hospitals", np.random.default_rng(0)
    place.mkdir()
    for index in range(6):
        ill = np.arange(5) % 2
        np.savez(place / f"h{index:02d}.npz", x=(rng.normal(size=(5, 3)) + ill[:, None]).astype(np.float32), y=ill)
    return parse(TEXT, [f'source={{name="npz",folder="{place}",classes=["well","ill"]}}'])


def test_a_resumed_run_ends_with_the_model_of_a_whole_one_and_moves_what_was_told(
    study: Study, tmp_path: Path
) -> None:
    whole = run_quietly(study, tmp_path / "whole")
    run_quietly(replace(study, rounds=1), tmp_path / "parts")
    resumed = run_quietly(study, tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    assert not any(one["dropped"] for one in (*whole.rounds, *resumed.rounds))
    told = ahead(study, Cohorts.of(study, site_names(study)), whole.about["parameters"])
    assert isinstance(told, Ahead)
    kinds = json.loads((tmp_path / "whole" / "traffic.json").read_text())["kinds"]
    assert {"confirm", "unmask"} <= {kind["leg"] for kind in kinds}
    moved = {
        way: sum(kind["bytes"] for kind in kinds if kind["direction"] == way and kind["leg"] != "hello")
        for way in ("to hospital", "to server")
    }
    assert (told.sent, told.received) == pytest.approx(tuple(moved.values()), rel=0.03)
