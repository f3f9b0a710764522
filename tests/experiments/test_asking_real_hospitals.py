"""Three hospitals with keys, approvals, logs and ledgers answer questions under secure aggregation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client._ledger_file import Contents
from client.ledger import Ledger
from common.asking.question import Question
from common.study.options import Entry
from common.study.study import Study, parse
from tests.experiments.real_hospitals import RealHospitals, listing

SITES = ("north", "south", "west")
COX = Question(Entry("cox", {"time": "time", "event": "died", "covariates": ["age"], "strata": "site"}))
MEAN = Question(Entry("bounded_mean", {"column": "age", "low": 30.0, "high": 90.0}), epsilon=0.5)
OLDER = Question(Entry("count", {}), ("age > 60",))


@pytest.fixture
def hospitals(tmp_path: Path) -> RealHospitals:
    rng, data = np.random.default_rng(1), {}
    for site in SITES:
        folder = tmp_path / "data" / site
        folder.mkdir(parents=True)
        ages = rng.integers(30, 90, 40)
        times = rng.exponential(20 / np.exp(0.03 * (ages - 60))).round(1) + 0.1
        rows = [f"{site}{k};{ages[k]};{times[k]};{k % 2};{'fm'[k % 2]}" for k in range(40)]
        (folder / f"{site}.csv").write_text("\n".join(["person;age;time;died;sex", *rows]) + "\n")
        data[site] = folder
    return RealHospitals(tmp_path, data)


def study() -> Study:
    return parse(
        """
title = "Asked"
rounds = 1
task = { name = "classification", network = "logistic" }
aggregation = "secagg"
federation = { dropout_wait_s = 0.0, start_timeout_s = 20.0 }

[source]
name = "table"
person = "person"
label = "sex"
classes = ["f", "m"]
features = ["age", "time", "died"]
"""
    )


def ledger(hospitals: RealHospitals, site: str) -> Contents:
    return Ledger(hospitals.folder_of(site)).contents()


def test_a_cox_regression_is_answered_and_noise_is_charged_to_every_ledger_once(hospitals: RealHospitals) -> None:
    approved = hospitals.approved(listing(study(), COX, MEAN))
    table = hospitals.ask(approved, "first", COX, MEAN, OLDER)
    cox, mean, older = table["answers"]
    assert (cox["state"], mean["state"]) == ("answered", "answered"), table
    assert cox["contributed"] == list(SITES) and cox["queries"] > 1
    assert cox["numbers"]["coefficients"], cox["numbers"]
    assert older["state"] == "no answer", "a free condition without noise was answered"
    charged = {site: ledger(hospitals, site) for site in SITES}
    again = hospitals.ask(approved, "second", MEAN)["answers"][0]
    assert again["state"] == "answered" and again["numbers"] == mean["numbers"], "the same noise is sent again"
    assert {site: ledger(hospitals, site) for site in SITES} == charged, "and charged once"
    assert all(charged.values())
    of_another_split = hospitals.approved(listing(replace(study(), seed=5), COX))
    third = hospitals.ask(of_another_split, "third", COX)["answers"][0]
    assert third["numbers"] == cox["numbers"], "another split is of the same persons, and opens the same sums"
    places = hospitals.folder_of("west").rglob("*")
    logged = [path.read_bytes() for path in places if path.is_file() and "log" in path.name]
    assert any(b"bounded_mean" in text for text in logged)
