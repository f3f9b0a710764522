"""`patients.json` after a run: patients, gains, answers and groups are those of the run's own files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.selfsupervision.health import feature_sums
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.study.study import parse
from common.sums.mean import Mean
from experiments.running.patient_record import record_of
from experiments.running.patient_scores import PatientScores
from experiments.running.run import run_study

STUDY = """
title = "Two hospitals"
rounds = 2
engine = "inline"
aggregation = "plain"
split = { validation = 0.1, test = 0.5 }
baselines = { local = true }
federation = { least_in_sum = 2, evaluate_every = 0 }
task = "classification"
training = { steps = 3, batch_size = "full", learning_rate = 0.5 }
report = { subgroups = ["sex: f, m"], least_cell = 5 }

[source]
name = "table"
site = "centre"
file = "cases.csv"
ignore = ["sex"]
decimal = "."
"""
SIMCLR = 'title = "Images"\nsource = "phantom"\ntask = "simclr"\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    rng, rows = np.random.default_rng(0), ["centre,dose,age,sex,label"]
    for k in range(100):
        dose, age = rng.normal(size=2)
        site, sex = "north" if k < 60 else "south", rng.choice(["f", "m"])
        rows.append(f"{site},{dose:.3f},{age:.3f},{sex},{int(dose + age > rng.normal())}")
    (folder / "data").mkdir()
    (folder / "data" / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    study = parse(STUDY + f'folder = "{folder / "data"}"\n')
    run_study(study, "record", folder / "run")
    return folder / "run"


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def accuracy_of(rows: list[Mapping[str, Any]]) -> float:
    return float(np.mean([one["scores"]["accuracy"] for one in rows]))


def test_patients_scores_average_to_the_hospitals(run: Path) -> None:
    record, final = read(run, "patients.json"), read(run, "final.json")["test"]
    for site, scores in final["sites"].items():
        own = [one for one in record["patients"] if one["site"] == site]
        assert accuracy_of(own) == pytest.approx(scores["accuracy"])
    low, high = record["intervals"]["accuracy"]
    assert low <= final["pooled"]["accuracy"] <= high


def test_a_gain_is_federated_minus_own_within_its_interval(run: Path) -> None:
    gains, final = read(run, "patients.json")["gains"], read(run, "final.json")["test"]["sites"]
    local = read(run, "baselines.json")["local"]
    assert set(gains) == {"north", "south"}
    for site, (value, low, high, patients) in gains.items():
        assert value == pytest.approx(final[site]["accuracy"] - local[site]["accuracy"])
        assert low <= value <= high
        assert patients == (30 if site == "north" else 20)


def test_chances_give_the_answers_that_were_scored(run: Path) -> None:
    record = read(run, "patients.json")
    right = [
        int(np.argmax(c)) == true for c, true in zip(record["cases"]["chances"], record["cases"]["true"], strict=True)
    ]
    assert np.mean(right) == pytest.approx(read(run, "final.json")["test"]["pooled"]["accuracy"])


def test_groups_of_patients_and_of_sums_agree_where_no_cell_is_small(run: Path) -> None:
    record, final = read(run, "patients.json")["subgroups"], read(run, "final.json")["test"]["subgroups"]
    for ours, summed in zip(record, final, strict=True):
        assert ours["persons"] == summed["persons"]
        assert ours["scores"]["accuracy"] == pytest.approx(summed["scores"]["accuracy"])
    represented = read(run, "patients.json")["represented"]
    assert sum(sum(one["hospitals"].values()) for one in represented) == 100


def test_the_page_has_it_all(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    for said in ("What each hospital gains by taking part", "ROC curve", "For whom does it work?", "95 % interval"):
        assert said in page


def test_how_far_cases_lie_apart_is_no_score_of_one_patient() -> None:
    means = {**feature_sums(torch.arange(24.0).reshape(2, 12)), "loss": Mean.of([1.0, 2.0])}
    scores = PatientScores(TASKS.build(Entry("simclr")), (("north", "7"),), (means,), (), "test")
    assert {"spread", "effective_rank"} < set(scores.of_all())
    (one,) = record_of(parse(SIMCLR), scores, Path())["patients"]
    assert set(one["scores"]) == {"loss"}
