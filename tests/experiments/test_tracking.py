"""A run told to trackers: the same numbers live and afterwards, read by their own readers; faults end nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from common.study.study import Study, parse
from experiments.running.run import run_study
from experiments.tracking import live
from experiments.tracking.finished import tell
from experiments.tracking.mlflow import MLflow, _allowed
from experiments.tracking.tensorboard import TensorBoard
from experiments.tracking.told import Scalar, settings_of
from server.reporting.folder import read_run

STUDY = """
title = "Tracked"
rounds = 2
engine = "inline"
source = { name = "phantom", hospitals = 3, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 2 } }
aggregation = "plain"
training = { batch_size = 2 }
"""


@dataclass
class RecordingTracker:
    """A tracker that keeps what it is told; `fails` at a step."""

    fails: str = ""
    begun: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)
    ended: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def begin(self, title: str, name: str, settings: Mapping[str, str]) -> None:
        self.begun.append((title, name, settings))

    def log(self, scalars: list[Scalar]) -> None:
        if self.fails:
            raise ConnectionError(self.fails)
        self.scalars += scalars

    def end(self, state: str, facts: Mapping[str, str]) -> None:
        self.ended.append((state, facts))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked") / "run"
    run_study(parse(STUDY), "small", folder)
    return folder


def tracked_run(monkeypatch: pytest.MonkeyPatch, tracker: RecordingTracker, folder: Path) -> Study:
    monkeypatch.setattr(live, "tracker_of", lambda study, folder: tracker)
    study = parse(STUDY)
    run_study(study, "small", folder)
    return study


def test_a_run_is_told_the_same_live_as_afterwards_but_for_its_seconds(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alive, after = RecordingTracker(), RecordingTracker()
    tracked_run(monkeypatch, alive, tmp_path / "live")
    tell(run, after)
    told = [[one for one in kept.scalars if not one.name.startswith("round/")] for kept in (alive, after)]
    assert told[0] == told[1] and len(told[0]) > 20
    assert alive.begun[0][:2] == ("Tracked", "small live")
    assert alive.ended[0][0] == "completed" and len(alive.ended[0][1]["model_sha256"]) == 64


def test_numbers_are_those_of_the_run(run: Path) -> None:
    kept = RecordingTracker()
    tell(run, kept)
    told = {(one.name, one.round): one.value for one in kept.scalars}
    records = read_run(run)
    assert told["final test/dice", 2] == records.final["test"].pooled["dice"]
    site, scores = next(iter(records.rounds[1].training.items()))
    assert told[f"train by hospital/{site}/loss", 2] == scores["loss"]
    assert told["round/hospitals", 1] == 3


def test_a_tracker_that_fails_is_a_problem_of_the_run_and_not_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tracked_run(monkeypatch, RecordingTracker(fails="nobody is\nthere"), tmp_path / "run")
    (problem,) = read_run(tmp_path / "run").lost
    assert problem.stage == "tracking" and "ConnectionError: nobody is there" in problem.reason
    assert read_run(tmp_path / "run").about.state == "completed"


def test_a_tracker_is_told_no_place_of_data_and_no_keys() -> None:
    roster = [{"name": "a", "key": "0" * 64}]
    text = tomli_w.dumps(
        {"title": "T", "source": {"name": "npz", "folder": "/data"}, "federation": {"roster": roster}}
    )
    settings = settings_of(text)
    assert settings == {"title": "T", "source.name": "npz"}


def test_names_that_mlflow_refuses_stay_apart() -> None:
    assert _allowed("Köln (Nord)/x") == "Köln -u28-Nord-u29-/x"
    assert _allowed("a:b") != _allowed("a;b")


def test_tensorboard_reads_what_was_written(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard, of the extra 'tracking', is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(run, TensorBoard(tmp_path))
    (folder,) = tmp_path.iterdir()
    events: Any = EventAccumulator(str(folder))
    events.Reload()
    values = [(event.step, event.value) for event in events.Scalars("final test/dice")]
    assert values == [(2, pytest.approx(read_run(run).final["test"].pooled["dice"], rel=1e-6))]


def test_mlflow_reads_what_was_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow, of the extra 'tracking', is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = (tmp_path / "runs").as_uri()
    tell(run, MLflow(place))
    client = mlflow.MlflowClient(place)
    (found,) = client.search_runs([client.get_experiment_by_name("Tracked").experiment_id])
    assert found.info.status == "FINISHED" and found.data.params["rounds"] == "2"
    assert found.data.metrics["final test/dice"] == read_run(run).final["test"].pooled["dice"]
    assert [one.step for one in client.get_metric_history(found.info.run_id, "round/hospitals")] == [1, 2]
