"""Runs compared: patients' scores that add up to the run's own, paired samples of patients, and one page."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from common.study.study import parse
from experiments.cli import cli
from experiments.comparing.measured import Compared, compare_runs, short_names
from experiments.comparing.page import page_of
from experiments.comparing.settings import differing_settings
from experiments.engines._quiet import read_outcome
from experiments.running import bootstrap
from experiments.running.bootstrap import differences, intervals
from experiments.running.patient_scores import PatientScores, score_patients
from experiments.running.run import run_study

STUDY = """
title = "Points"
rounds = 2
engine = "inline"
source = { name = "table", person = "person", classes = ["a", "b"] }
task = { name = "classification", network = "logistic", scores = ["recall", "auc"] }
aggregation = "plain"
strategy = "fedavg"
training = { learning_rate = 0.5, batch_size = 8 }
split = { test = 0.5, validation = 0.0 }
"""
SURVIVAL = [
    'source={name="table", person="person", target="survival", ignore=["label"]}',
    'task={name="survival", cuts=[1, 2], scores=["c_index", "brier"]}',
]


def tables(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for site in ("north", "south", "west"):
        rows = ["person,x,y,label,time,event"]
        for index in range(40):
            x, y = rng.normal(size=2)
            rows.append(
                f"{site}{index // 2},{x:.3f},{y:.3f},{'ab'[int(x + 0.5 * rng.normal() > 0)]},{index % 4 + 0.5},1"
            )
        (folder / f"{site}.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("compare")
    data = tables(place / "data")
    for name, overrides in {"slow": [], "fast": ["rounds=5", "training.epochs=2"]}.items():
        study = parse(STUDY, [f'source.folder="{data}"', 'source.ignore=["time","event"]', *overrides])
        run_study(study, name, place / name)
    return place / "slow", place / "fast"


@pytest.fixture(scope="module")
def compared(runs: tuple[Path, Path]) -> Compared:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "SAMPLES", 500)
        return compare_runs(runs)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "SAMPLES", 500)
    monkeypatch.setattr(bootstrap, "SAMPLES_OF_RANKS", 60)


@cache
def scores_of(folder: Path) -> PatientScores:
    return score_patients(parse((folder / "study.toml").read_text(encoding="utf-8")), folder)


def test_patients_scores_add_up_to_what_the_run_told(runs: tuple[Path, Path]) -> None:
    found = scores_of(runs[0])
    told = read_outcome(runs[0]).final["test"]["pooled"]
    assert found.of_all() == told
    assert len(found.persons) == len(set(found.persons)) == 30


def test_a_sample_is_what_its_persons_would_give_written_out(runs: tuple[Path, Path]) -> None:
    found = scores_of(runs[0])
    times = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=1)
    kept = [place for place, count in enumerate(times[0]) for _ in range(count)]
    total = sum(found.means[place]["accuracy"].total_units for place in kept)
    weight = sum(found.means[place]["accuracy"].weight_units for place in kept)
    assert found.resampled(times)[0]["accuracy"] == pytest.approx(total / weight)


def test_the_interval_of_a_share_is_that_of_the_binomial(runs: tuple[Path, Path]) -> None:
    """Of 60 cases, two a person, an accuracy has about the spread of as many independent ones."""
    found = intervals(scores_of(runs[0]), np.random.default_rng(0))["accuracy"]
    spread = 1.96 * np.sqrt(found.value * (1 - found.value) / 60)
    assert found.low < found.value < found.high
    assert 0.5 * spread < (found.high - found.low) / 2 < 2 * spread


def test_a_run_does_not_differ_from_itself_and_what_is_paired_is_surer(runs: tuple[Path, Path]) -> None:
    slow, fast = map(scores_of, runs)
    assert differences(slow, slow, np.random.default_rng(0)) == {}, "what never varied has no interval"
    paired = differences(slow, fast, np.random.default_rng(0))["loss"]
    alone = [intervals(one, np.random.default_rng(0))["loss"] for one in (slow, fast)]
    assert paired.high - paired.low < sum(one.high - one.low for one in alone)
    assert paired.high < 0


def test_persons_whom_one_run_trained_on_are_not_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = parse((runs[0] / "study.toml").read_text(encoding="utf-8"), ["seed=9"])
    run_study(other, "other", tmp_path / "other")
    compared = compare_runs([runs[0], tmp_path / "other"])
    both = set(scores_of(runs[0]).persons) & set(scores_of(tmp_path / "other").persons)
    assert compared.patients[1] == len(both) < 30


def test_a_score_that_ranks_persons_is_worked_out_for_every_sample(tmp_path: Path) -> None:
    data = tables(tmp_path / "data")
    study = parse(STUDY, [*SURVIVAL, f'source.folder="{data}"', "rounds=1"])
    run_study(study, "ranks", tmp_path / "run")
    found = scores_of(tmp_path / "run")
    assert found.of_all()["c_index"] == pytest.approx(
        read_outcome(tmp_path / "run").final["test"]["pooled"]["c_index"]
    )
    told = intervals(found, np.random.default_rng(0))["c_index"]
    assert told.low < told.value < told.high


def test_settings_that_differ_are_named_and_no_others(compared: Compared) -> None:
    found = {one.name: one.values for one in differing_settings(compared.runs)}
    assert found == {"rounds": ("2", "5"), "training.epochs": ("1", "2")}


def test_the_page_says_the_verdict_and_escapes_what_a_folder_is_called(compared: Compared) -> None:
    page = page_of(replace(compared, names=("slow", "<script>alert(1)")))
    assert "on the same test patients, against slow: &lt;script&gt;alert(1)" in page
    assert "minus slow, 30 patients" in page and "<script>alert" not in page


def test_the_command_leaves_a_page_and_figures_and_says_where_no_interval_is(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for name in ("study.toml", "about.json", "rounds.jsonl", "final.json"):
        (gone / name).write_bytes((runs[1] / name).read_bytes())
    done = CliRunner().invoke(cli, ["compare", str(runs[0]), str(gone), "--out", str(tmp_path / "page")])
    assert done.exit_code == 0, done.output
    assert "No interval for" in done.output
    figures: Any = json.loads((tmp_path / "page" / "compare.json").read_text(encoding="utf-8"))
    assert figures["runs"][1]["test"]["accuracy"] and figures["runs"][1]["minus_first"] == {}
    assert "model.safetensors" in figures["runs"][1]["no_interval"]


@pytest.mark.parametrize("given", [["{0}"], ["{0}", "{0}"], ["{0}", "nothing-there"]])
def test_what_cannot_be_compared_is_refused(runs: tuple[Path, Path], given: list[str]) -> None:
    done = CliRunner().invoke(cli, ["compare", *(one.format(runs[0]) for one in given)])
    assert done.exit_code == 1


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    assert short_names([Path("runs/a/1"), Path("runs/b/1")]) == ("a/1", "b/1")
    assert short_names([Path("runs/a/1"), Path("runs/a/2")]) == ("1", "2")
