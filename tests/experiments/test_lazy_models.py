"""One model, whether cases stand in memory or lie in mapped files, on every engine.

That of `simulation` is a drill, which runs where WARDROUND_DRILLS is set: its processes map files as those of
`processes` do, and that it gives the model of inline `test_one_file_four_engines.py` shows in every run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from client import hospital
from client.prepared import OFF, VARIABLE
from common.study.study import Study, parse
from experiments.engines import _fork_server
from experiments.engines._quiet import run_quietly
from tests.client.source_makers import make_nifti

STUDY = """
title = "Whole volumes, each in its own shape"
rounds = 2
strategy = "fedavg"
aggregation = "plain"
engine = "inline"
[source]
name = "nifti"
dimensions = 3
size = 0
classes = ["background", "anterior", "posterior"]
[task]
name = "segmentation"
patch = [4, 4, 4]
network = { name = "unet", channels = 2, depth = 1 }
[training]
steps = 2
batch_size = 2
learning_rate = 0.1
[federation]
evaluate_every = 0
start_timeout_s = 900
round_timeout_s = 900
[split]
validation = 0.0
test = 0.3
"""


@pytest.fixture
def hospitals_read_for_themselves() -> None:
    """Here, the process that they are forked from reads the pool for them."""


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    make_nifti(folder)
    return folder


def study_of(folder: Path, *settings: str) -> Study:
    return parse(STUDY, [f'source.folder="{folder}"', *settings])


def model_of(study: Study, place: Path, prepared: str, patch: pytest.MonkeyPatch) -> str:
    hospital.close_all()
    _fork_server.end()  # one that another test left has that test's environment
    patch.setenv(VARIABLE, prepared)
    return str(run_quietly(study, place).about["model_sha256"])


@pytest.mark.parametrize("engine", ["inline", "processes", "simulation"])
def test_mapped_files_train_the_bit_identical_model(
    engine: str, volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "simulation":
        if not os.environ.get("WARDROUND_DRILLS"):
            pytest.skip("a drill: set WARDROUND_DRILLS=1")
        pytest.importorskip("ray", reason="the simulation extra is not installed")
    own = ("rounds=1",) if engine == "simulation" else ()
    sites = 'source.table="sites.csv"'
    eager = model_of(study_of(volumes, sites, *own), tmp_path / "eager", OFF, monkeypatch)
    prepared = tmp_path / "prepared"
    lazy = study_of(volumes, sites, f"engine={engine}", *own)
    assert model_of(lazy, tmp_path / "lazy", str(prepared), monkeypatch) == eager
    assert len(list(prepared.glob("*.json"))) == 2


def test_a_divided_set_in_mapped_files_trains_the_bit_identical_model(
    volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    divided = ('partition={name="iid",hospitals=3}',)
    eager = model_of(study_of(volumes, *divided), tmp_path / "eager", OFF, monkeypatch)
    prepared = str(tmp_path / "prepared")
    assert model_of(study_of(volumes, *divided), tmp_path / "lazy", prepared, monkeypatch) == eager
    again = study_of(volumes, *divided, "engine=processes")
    assert model_of(again, tmp_path / "again", prepared, monkeypatch) == eager


def test_a_second_start_reads_no_original(volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, prepared = study_of(volumes, 'source.table="sites.csv"'), str(tmp_path / "prepared")
    first = model_of(study, tmp_path / "first", prepared, monkeypatch)

    def parts(*_: object) -> NoReturn:
        raise AssertionError("an original is read")

    monkeypatch.setattr("client.sources._volume_source.VolumeSource.parts", parts)
    assert model_of(study, tmp_path / "second", prepared, monkeypatch) == first
