"""The benchmark of super-resolution: its studies, its small steps, and what it concludes from rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from common.data.cases import Cases
from experiments.benchmarks import _enlarged_ways as ways
from experiments.benchmarks._enlarged_studies import DESIGNS, LOSSES, designed, shipped
from experiments.benchmarks.superresolution import FEDERATED, LOCAL, POOLED, TUNED, measured, targets_of


def hospitals() -> Any:
    """Two of smooth noise."""
    found = []
    for index in range(2):
        truth = np.random.default_rng(index).random((3, 1, 128, 128), np.float32)
        cases = Cases.of(truth, truth, [f"p{index}-{case}" for case in range(3)])
        found.append(SimpleNamespace(site=f"h{index}", train=cases, splits={"test": cases}))
    return cast(Any, found)


def of_federation(way: str, psnr: float, **more: object) -> dict[str, Any]:
    row = {"of": "federation", "trained": way, "loss": "l2", "factor": 4, "bicubic": 22.0, "cpu_s": 1.0}
    return {**row, "psnr": psnr, **more}


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_is_trained_and_scored_also_by_factors_it_was_not_made_for(design: str) -> None:
    study = designed(design, "l1", 2, 2, 1, None)
    study = replace(study, training=replace(study.training, steps=2))
    network, cost = ways.learned(study, ways.patches(hospitals(), 2, 1))
    assert cost["parameters"] < 50_000 and cost["MiB of a step"] > 0
    found = ways.at_factor(designed(design, "l1", 2, 6, 1, None), network, ways.tested(hospitals(), 6, 1))
    assert np.isfinite(list(found.values())).all()
    assert ways.takes(design, ways.design_of(study), 2, 6) is (design == "pre")


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_of_the_table_is_one_that_a_study_can_name(loss: str) -> None:
    designed("post", loss, 4, 4, 1, None).build_task()


def test_the_study_that_is_measured_is_the_one_that_is_shipped() -> None:
    study = shipped(Path("nowhere"), 7)
    assert study.seed == 7 and study.task.name == "superresolution" and not study.baselines.pooled


def test_targets_are_met_by_the_gain_over_bicubic_and_the_way_to_pooled() -> None:
    rows = [
        of_federation(FEDERATED, 23.3),
        of_federation(POOLED, 23.5),
        of_federation(TUNED, 23.4),
        of_federation(LOCAL, 23.45),
    ]
    assert [one.met for one in targets_of(rows)] == [True, True, False]
    assert [one.met for one in targets_of([of_federation(FEDERATED, 23.1), of_federation(POOLED, 23.5)])] == [
        False,
        False,
        None,
    ]


def test_a_row_says_whether_another_factor_is_by_design() -> None:
    row = of_federation("pre", 24.0, **{"gain x3": 0.5, "by design x3": True, "gain x6": -0.1, "by design x6": False})
    shown = measured([{**row, "of": "design"}]).rows[0]
    assert shown["gain x3"] == "+0.50, by design" and shown["gain x6"] == "-0.10, interpolated"
