"""Hospitals so small that a part of their split is empty where each patient is placed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.hospital import open_hospital
from common.errors import TooFewHospitalsError
from common.study.study import Study, parse
from experiments.engines._quiet import run_quietly

SITES = ("cleveland", "hungarian", "switzerland", "va")
TEXT = """
title = "Small hospitals"
rounds = 2
engine = "inline"
source = { name = "heart" }
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 2, learning_rate = 0.01 }
split = { validation = 0.2, test = 0.3, assignment = "independent" }
federation = { start_timeout_s = 60, round_timeout_s = 60, least_in_sum = 3 }
baselines = { pooled = true, local = true }
"""


def hearts(folder: Path, sizes: tuple[int, ...]) -> None:
    for site, size in zip(SITES, sizes, strict=True):
        rows = [f"{30 + 7 * i},1,{1 + i % 4},{120 + size},{200 + i},1,2,150,0,2.3,3,0,6,{i % 2}" for i in range(size)]
        (folder / f"processed.{site}.data").write_text("\n".join(rows) + "\n")


def counts(study: Study) -> list[tuple[int, ...]]:
    return [tuple(len(own) for own in open_hospital(study.json, index).splits.values()) for index in range(4)]


def a_study(folder: Path, seed: int, wanted: list[tuple[bool, ...]], *overrides: str) -> Study:
    """By this seed each hospital has, or has not, cases to train, validate and test on, as wanted."""
    study = parse(TEXT, [f'source.folder="{folder}"', f"seed={seed}", *overrides])
    assert [tuple(n > 0 for n in own) for own in counts(study)] == wanted
    return study


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_a_hospital_without_test_or_validation_cases_takes_part(tmp_path: Path, aggregation: str) -> None:
    hearts(tmp_path, (2, 3, 3, 9))
    bare, whole = (True, False, False), (True, True, True)
    study = a_study(tmp_path, 43, [bare, (True, False, True), bare, whole], f"aggregation={aggregation}")
    final = run_quietly(study, tmp_path / "run").final["test"]
    assert 0 <= final["pooled"]["accuracy"] <= 1
    scored = {site for site, scores in final["sites"].items() if scores}
    assert scored == ({"hungarian", "va"} if aggregation == "plain" else set())
    assert "cleveland" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_study_that_nobody_can_test_ends_without_scores(tmp_path: Path) -> None:
    hearts(tmp_path, (2, 2, 2, 2))
    study = a_study(tmp_path, 515, [(True, False, False)] * 4)
    final = run_quietly(study, tmp_path / "run").final["test"]
    assert (final["pooled"], set(final["sites"])) == ({}, set(SITES))


def test_a_hospital_with_nobody_to_train_on_is_named_at_the_start(tmp_path: Path) -> None:
    hearts(tmp_path, (1, 3, 3, 3))
    bare = (True, False, False)
    study = a_study(tmp_path, 1820, [(False, False, True), bare, bare, bare], "federation.least_in_sum=4")
    with pytest.raises(TooFewHospitalsError, match="cleveland has no training cases"):
        run_quietly(study, tmp_path / "run")
