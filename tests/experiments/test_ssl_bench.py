"""The benchmark of pretraining: rows that are kept, labels that are drawn, targets, and FedEMA's rule."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from common.study.catalogue import TASKS
from common.study.study import parse
from experiments.benchmarks import _pretraining_ways as ways
from experiments.benchmarks._kept_rows import KeptRows, Row, mean_of
from experiments.benchmarks._label_efficiency import drawn_by_class, name_of
from experiments.benchmarks._pretraining_studies import METHODS, SETS, study_text, supervised_text
from experiments.benchmarks.self_supervision import FEDERATED, FLOOR, POOLED, table_of, targets_of
from experiments.engines._quiet import run_quietly
from experiments.prediction.trained import load_trained

ONE = name_of(0.01)


def kept(folder: Path) -> KeptRows:
    return KeptRows(folder, 60.0, Console(file=io.StringIO()))


def test_a_row_is_measured_once_and_again_where_its_setting_changed(tmp_path: Path) -> None:
    asked: list[float] = []

    def measure() -> Mapping[str, float]:
        asked.append(1.0)
        return {"value": float(len(asked))}

    first = kept(tmp_path).row({"seed": 0}, "a study", measure)
    again = kept(tmp_path).row({"seed": 0}, "a study", measure)
    assert first == again and len(asked) == 1
    assert kept(tmp_path).row({"seed": 1}, "a study", measure)["value"] == 2
    assert kept(tmp_path).row({"seed": 0}, "another study", measure)["value"] == 3


def test_labels_are_drawn_evenly_by_class_and_all_of_them_at_the_end() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    drawn = drawn_by_class(labels, 0.1, 0, 0)
    assert len(np.unique(drawn)) == 100 and labels[drawn].sum() == 50
    assert labels[drawn_by_class(labels, 0.5, 0, 0)].sum() == 100
    assert not np.array_equal(drawn, drawn_by_class(labels, 0.1, 0, 1))
    assert len(drawn_by_class(labels, 1.0, 0, 0)) == 1000


def row(method: str, trained: str, value: float) -> Row:
    return {"images": SETS[0].name, "method": method, "seed": 0, "trained": trained, ONE: value, "cpu_s": 1.0}


def test_the_share_of_the_way_from_floor_to_pooled_is_a_target() -> None:
    rows = [row("mae", FLOOR, 0.6), row("mae", FEDERATED, 0.87), row("mae", POOLED, 0.9)]
    found = {one.name: one for one in targets_of(rows)}
    closed = found["mae: way from floor to pooled"]
    assert closed.ours == pytest.approx(0.9) and found["best federated"].ours == 0.87
    assert found["byol"].met is None
    assert found[f"mae, {SETS[0].name}"].met is True
    assert [line["trained"] for line in table_of(rows)] == [FLOOR, FEDERATED, POOLED]


def test_where_pooled_pretraining_is_not_above_the_floor_no_share_of_the_way_is_told() -> None:
    rows = [row("mae", FLOOR, 0.9), row("mae", FEDERATED, 0.87), row("mae", POOLED, 0.9)]
    found = {one.name: one for one in targets_of(rows)}
    assert found["mae: way from floor to pooled"].met is None
    assert found[f"mae, {SETS[0].name}"].met is False


def test_a_mean_needs_every_row() -> None:
    assert mean_of([{"a": 1.0}, {"a": 3.0}], "a") == 2
    assert mean_of([{"a": 1.0}, {}], "a") is None and mean_of([], "a") is None


@pytest.mark.parametrize("images", SETS, ids=lambda one: one.name)
def test_every_method_has_a_study_that_can_be_read(images: object) -> None:
    chosen = next(one for one in SETS if one is images)
    for method in METHODS:
        study = parse(study_text(method, chosen, "folder", 1))
        assert study.task.name == method.name and study.seed == 1
    if chosen.classes:
        assert parse(supervised_text(chosen, "folder", 1, 0.1)).training.label_share == 0.1
    assert {"simclr", "triplet", "byol", "dino", "mae", "ijepa"} <= {method.name for method in METHODS}
    assert {method.name for method in METHODS} <= set(TASKS.names())


def test_fedema_begins_a_round_between_the_global_and_the_hospitals_own_model() -> None:
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, 1.0)
    ways._put_mean(network, {"weight": torch.full((1, 2), 3.0)}, own=0.25)
    assert network.weight.tolist() == [[2.5, 2.5]]
    ways._put_mean(network, {"weight": torch.full((1, 2), 3.0)}, own=0.0)
    assert network.weight.tolist() == [[3.0, 3.0]]


def test_the_distance_that_an_encoder_moved_is_the_mean_of_its_layers() -> None:
    before = {"a": torch.zeros(2, 2), "b": torch.zeros(1, 1)}
    after = {"a": torch.full((2, 2), 1.0), "b": torch.full((1, 1), 4.0)}
    assert ways._distance(before, after) == pytest.approx((2 + 4) / 2)


TINY = """
title = "Both ways"
rounds = 2
engine = "inline"
source = { name = "phantom", hospitals = 3, size = 16, patients = [12, 8, 5], slices_per_patient = 1 }
task = { name = "dino", network = { name = "groupnorm_cnn", channels = 2, standardised = true } }
aggregation = "plain"
training = { batch_size = 4, learning_rate = 0.01, optimiser = "adamw", schedule = { kind = "cosine" } }
federation = { evaluate_every = 0, final_intervals = false }
baselines = { local = false, pooled = false }
"""


def test_what_the_benchmark_trains_is_what_a_run_ends_with_bit_for_bit(tmp_path: Path) -> None:
    study = parse(TINY)
    run_quietly(study, tmp_path / "run")
    ran = load_trained(tmp_path / "run").network.state_dict()
    trained = ways.federated(study, ways.hospitals_of(study)).state_dict()
    assert all(torch.equal(one, trained[name]) for name, one in ran.items())
