"""Network "auto": a study is written out by hospitals' sums, the same whoever sums, and run."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import StudyError
from common.files.json_files import read_table
from common.study.options import Entry
from common.study.study import Study, parse
from experiments.planning.configuration import configured, question_study
from experiments.planning.configuration_command import write_plan
from experiments.running.run import run_study
from server.app import progress
from server.progress import RunFinished
from tests.client.source_makers import make_nifti

TEXT = """
title = "Small"
rounds = 1
engine = "inline"
aggregation = "plain"
source = { name = "nifti", table = "sites.csv" }
task = { name = "segmentation", network = { name = "auto", channels = 4 } }
training = { steps = 1 }
split = { validation = 0.0, test = 0.5 }
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    options, _ = make_nifti(tmp_path)
    names = "\n".join(f"p{index},{'ABC'[index % 3]}" for index in range(6))
    (tmp_path / "sites.csv").write_text(f"patient,site\n{names}\n")
    parsed = parse(TEXT)
    return replace(parsed, source=Entry("nifti", {**options, "dimensions": 3}))


def test_a_run_asks_first_and_goes_on_with_what_it_found(study: Study, tmp_path: Path) -> None:
    run = tmp_path / "run"
    heard: list[object] = []
    listen = heard.append
    progress.subscribe(listen)
    try:
        report = run_study(study, "small", run).read_text()
    finally:
        progress.unsubscribe(listen)
    written = tomllib.loads((run / "study.toml").read_text())
    assert written["task"]["network"] == {"name": "unet", "widths": [4]}  # half of 6 is fewer than 4
    assert (written["source"]["size"], written["training"]["batch_size"]) == ([6, 7, 8], 2)
    plan = read_table(run, "plan.json")
    assert plan["fingerprint"]["hospitals"] == 3
    assert plan["plan"]["reasons"][0] in report.replace("&#x27;", "'")
    assert sum(isinstance(one, RunFinished) for one in heard) == 1  # who watches is told of the run alone
    assert parse((run / "study.toml").read_text()).build_task()  # goes on, and is resumed, as any other


def test_the_plan_is_the_same_under_every_way_to_sum_and_from_a_kept_answer(study: Study, tmp_path: Path) -> None:
    here = configured(study, "small", tmp_path / "plain")
    hidden = configured(replace(study, aggregation=Entry("additive")), "small", tmp_path / "additive")
    assert hidden.plan == here.plan
    assert hidden.fingerprint == here.fingerprint
    out = tmp_path / "planned.toml"
    kept, said = write_plan(study, "small", tmp_path / "plain" / "answer.json", out)
    assert json.loads(json.dumps(kept)) == json.loads(json.dumps(here.json()))
    assert parse(out.read_text()) == parse(here.study.text)
    assert "sums" in said[0]


def test_what_is_to_be_kept_stays_as_it_was_written(study: Study, tmp_path: Path) -> None:
    network = {"name": "auto", "keep": ["patch", "batch", "normalisation"]}
    task = Entry("segmentation", {"network": network, "patch": [4, 4, 4]})
    source = Entry("nifti", {**study.source.options, "normalisation": "minmax", "size": 0})
    found = configured(replace(study, task=task, source=source), "small", tmp_path / "asked").study
    assert found.task.options["patch"] == [4, 4, 4]
    assert (found.source.options["normalisation"], found.training.batch_size) == ("minmax", 32)


def test_slices_are_planned_by_the_two_axes_that_they_have(study: Study, tmp_path: Path) -> None:
    found = configured(
        replace(study, source=Entry("nifti", {**study.source.options, "dimensions": 2})), "small", tmp_path / "asked"
    )
    assert found.plan.patch == (6, 7)  # 6 voxels keep 4 of no halving
    assert found.study.source.options["size"] == list(found.plan.patch)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"task": Entry("classification", {"network": "auto"})}, "configures task 'segmentation'"),
        ({"privacy": Entry("dpsgd", {"epsilon": 1.0, "delta": 1e-4})}, "no noise covers"),
    ],
)
def test_a_study_without_a_plan_is_refused_with_the_reason(study: Study, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(StudyError, match=why):
        question_study(replace(study, **changes))
