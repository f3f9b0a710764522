"""What a simulated run without labels shows of its encoder: a map, and neighbours within a hospital."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from client.hospital import open_hospital
from common.data.cases import Shape
from common.learning.parameters import new_network
from common.study.study import parse
from experiments.running import embedding
from experiments.running import run as after
from experiments.running.run import run_study
from server.report import write_report
from server.reporting.embedding import embedding_of
from tests.server.sample_run import write_sample

STUDY = """
title = "Without labels"
rounds = 1
engine = "inline"
aggregation = "plain"
source = { name = "phantom", hospitals = 3, size = 16, patients = [6, 6, 6], slices_per_patient = 1 }
task = { name = "simclr", network = { name = "groupnorm_cnn", channels = 4 }, projection = 4 }
training = { steps = 1, batch_size = 4, learning_rate = 0.001 }
baselines = { local = false, pooled = false }
"""
SHAPE = Shape((1, 16, 16), 0)
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_study(parse(STUDY), "unlabelled", folder)
    return folder


def test_every_case_is_a_point_and_no_neighbour_is_of_the_same_person(run: Path) -> None:
    found = json.loads((run / "embedding.json").read_text())
    assert found["cases"] == len(found["points"]) > 2
    assert len({point["site"] for point in found["points"]}) == 3
    assert 0 < sum(found["shares"]) <= 1 + 1e-9
    for row in found["neighbours"]:
        similarity = [card["similarity"] for card in row["found"]]
        assert similarity == sorted(similarity, reverse=True)
        assert row["asked"]["picture"] not in [card["picture"] for card in row["found"]]


def test_the_report_shows_the_map_and_says_that_labels_were_not_used(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "What the encoder tells apart" in page
    assert "Labels were not used in training" in page
    assert "Nearest neighbours within a hospital" in page


@pytest.mark.parametrize("engine", ["nodes", "deployment", "flower", ""])
def test_of_nodes_no_case_is_shown_though_a_file_holds_some(run: Path, tmp_path: Path, engine: str) -> None:
    shutil.copytree(run, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    (tmp_path / "run" / "about.json").write_text(json.dumps({**about, "engine": engine}))
    page = write_report(tmp_path / "run").read_text()
    assert "Nearest neighbours" not in page and "What the encoder tells apart" not in page


def test_what_is_watched_does_not_vanish_from_a_run_in_silence(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    assert about["watched"] and "it was changed" not in (run / "report.html").read_text()
    (tmp_path / "run" / "about.json").write_text(json.dumps({**about, "watched": []}))
    assert "about.json does not say which scores tell a collapse" in write_report(tmp_path / "run").read_text()


def test_real_nodes_on_this_machine_write_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rehearsal's own engine is not started: what follows a run is all that matters here."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    written: list[str] = []
    for name in ("write_pictures", "write_patients"):
        monkeypatch.setattr(after, name, lambda *_: None)
    monkeypatch.setattr(after, "write_embedding", lambda study, _: written.append(study.engine))
    for engine in ("nodes", "deployment", "simulation", "processes", "inline"):
        after._look_at_patients(parse(STUDY, [f"engine={engine}"]), tmp_path)
    assert written == ["simulation", "processes", "inline"]


def test_a_case_without_finite_features_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    study = parse(STUDY)
    hospital, parameters = open_hospital(study.json, 0), dict(new_network(study.build_task(), SHAPE, 1).state_dict())

    def answers(_: object, __: object, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.flatten(1).where(torch.arange(len(inputs))[:, None] > 0, torch.nan)

    monkeypatch.setattr(type(hospital.task), "predict", answers)
    seen = embedding._of_hospital(hospital, parameters, 4)
    assert seen.left_out == 1 and len(seen.cases) == len(seen.features) > 0 and np.isfinite(seen.features).all()
    assert np.isfinite(embedding._table([seen])["shares"]).all()
    told = {"points": [{"site": "a", "place": [1, 2]}], "left_out": 1}
    folder = write_sample(tmp_path / "run", rounds=2)
    (folder / "embedding.json").write_text(json.dumps(told))
    assert "Of 1 more case the encoder makes no finite numbers" in write_report(folder).read_text()


def test_a_run_with_labels_has_no_such_section(tmp_path: Path) -> None:
    page = write_report(write_sample(tmp_path / "run", rounds=2)).read_text()
    assert "What the encoder tells apart" not in page


def test_what_a_file_says_is_shown_as_text_and_only_pictures_are_pictures(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    card = {"picture": PIXEL, "label": evil, "similarity": 0.5}
    table: dict[str, Any] = {
        "cases": "many",
        "width": -3,
        "shares": [float("nan"), 2],
        "points": [{"site": evil, "label": evil, "place": [1, 2]}, {"place": ["x", None]}, 7, {"place": [1e300]}],
        "neighbours": [
            {"site": evil, "asked": card, "found": [card, {"picture": "https://example.org/a.png"}]},
            {"site": "a", "asked": {"picture": "data:image/svg+xml,<svg/>"}, "found": [card]},
        ],
    }
    folder = write_sample(tmp_path / "run", rounds=2)
    (folder / "embedding.json").write_text(json.dumps(table))
    page = write_report(folder).read_text()
    assert evil not in page and "example.org" not in page
    found = embedding_of(table)
    assert found is not None
    assert len(found.points) == 1 and len(found.alike) == 1 and len(found.alike[0].found) == 1


@pytest.mark.parametrize("value", [None, 3, [], {}, {"points": "x"}, {"points": [{"place": []}]}])
def test_of_nothing_that_can_be_shown_there_is_no_section(value: object) -> None:
    assert embedding_of(value) is None
