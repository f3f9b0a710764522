"""From images without labels to a study with few: the newest run, names that fit, and a warning where persons mix."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from common.data.cases import Shape
from common.errors import StudyError
from common.files.tensor_files import write_tensors
from common.learning.parameters import new_network
from common.learning.start import first_network
from common.study.options import Entry
from common.study.start import Start
from common.study.study import Study, parse
from experiments.engines._quiet import run_quietly
from experiments.newest_run import newest_run
from experiments.places import with_whole_start
from experiments.start_elsewhere import remark_on_start

TEXT = """
title = "Outlines from few labels"
rounds = 1
seed = 3
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
source = { name = "phantom", hospitals = 2, patients = [8, 8], slices_per_patient = 1, size = 16 }
[training]
optimiser = "adam"
learning_rate = 0.01
[federation]
least_in_sum = 2
"""
UNET = {"name": "unet", "channels": 4, "depth": 2}
PRETRAINED = {"name": "mae", "network": UNET, "patch": 4}
OUTLINED = {"name": "segmentation", "network": UNET}


def study_of(task: dict[str, Any], *overrides: str) -> Study:
    study = parse(TEXT + '[task]\nname = "segmentation"\n', overrides)
    return replace(study, task=Entry(task["name"], {key: value for key, value in task.items() if key != "name"}))


def ended(folder: Path) -> Path:
    write_tensors(folder, "model.safetensors", {"a": torch.zeros(1).numpy()})
    (folder / "summary.json").write_text("{}")
    return folder


def test_the_newest_run_that_has_ended_is_meant(tmp_path: Path) -> None:
    for time in ("2026-01-02T00-00-00", "2026-01-02T00-00-00-2", "2026-01-02T00-00-00-10", "2025-12-31T23-59-59"):
        ended(tmp_path / time)
    (tmp_path / "2026-02-01T00-00-00").mkdir()
    ended(tmp_path / "another folder")
    assert newest_run(tmp_path).name == "2026-01-02T00-00-00-10"
    assert newest_run(tmp_path / "2025-12-31T23-59-59").name == "2025-12-31T23-59-59"
    model = tmp_path / "2025-12-31T23-59-59" / "model.safetensors"
    assert newest_run(model) == model


def test_runs_that_are_kept_elsewhere_are_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = ended(tmp_path / "pretrain_lgg" / "2026-01-02T00-00-00")
    assert newest_run(Path("runs/pretrain_lgg")) == run


@pytest.mark.parametrize("name", ["finetune_lgg", "finetune_hippocampus3d", "finetune_pneumonia"])
def test_who_has_not_pretrained_yet_is_told_to(
    name: str, wardround: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARDROUND_RUNS", raising=False)
    code, said = wardround("check", name)
    assert code and f"wardround run {name.replace('finetune', 'pretrain')}" in " ".join(said.split())


def test_a_run_that_has_not_ended_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-02-01T00-00-00").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"wardround resume .*2026-02-01T00-00-00"):
        newest_run(tmp_path)


@pytest.mark.parametrize("sides", [(16, 16), (8, 8, 8)])
@pytest.mark.parametrize("more", [{}, {"depth": 3, "deep_supervision": True}, {"upsampling": "linear"}])
@pytest.mark.parametrize("method", ["mae", "simclr"])
def test_what_a_u_net_learned_without_labels_fits_the_whole_one(
    method: str, more: dict[str, Any], sides: tuple[int, ...], tmp_path: Path
) -> None:
    if more.get("upsampling") == "linear" and len(sides) == 3:
        more = {"upsampling": "nearest"}
    network = {**UNET, **more}
    options = {"patch": 4} if method == "mae" else {}
    before = study_of({"name": method, "network": network, **options})
    learned = new_network(before.build_task(), Shape((1, *sides), 0), 9)
    tensors = {name: tensor.detach().numpy() for name, tensor in learned.named_parameters()}
    write_tensors(tmp_path, "model.safetensors", tensors)
    alone = ("body.up.*", "body.enlarge.*") if method == "simclr" else ()
    start = Start(str(tmp_path), part="encoder", fresh=("body.head.*", "body.deep_heads.*", *alone))
    study = replace(study_of({"name": "segmentation", "network": network}), start=start)
    whole = dict(first_network(study, study.build_task(), Shape((1, *sides), 3)).named_parameters())
    taken = [name.removeprefix("encoder.") for name in tensors if name.startswith("encoder.")]
    assert taken and all(
        torch.equal(whole[name].detach(), torch.from_numpy(tensors[f"encoder.{name}"])) for name in taken
    )


def test_images_without_labels_then_few_labels_from_the_folder_of_runs(tmp_path: Path) -> None:
    runs = tmp_path / "runs" / "before"
    run_quietly(study_of(PRETRAINED), runs / "2026-01-01T00-00-00")
    asked = (f'start.model="{runs}"', "start.part=encoder", 'start.fresh=["body.head.*"]', "training.label_share=0.5")
    study = with_whole_start(study_of(OUTLINED, *asked))
    assert study.start is not None and study.start.model.endswith("2026-01-01T00-00-00") and study.start.sha256
    assert remark_on_start(study) == ""
    outcome = run_quietly(study, tmp_path / "after")
    assert outcome.about["start"]["parameters"] > 0
    other = with_whole_start(study_of(OUTLINED, *asked, "seed=4", "split.test=0.3"))
    assert "seed and split differ" in remark_on_start(other)
    shutil.rmtree(runs / "2026-01-01T00-00-00")
    assert remark_on_start(other) == ""


def test_the_same_study_without_a_start_is_one_word_away() -> None:
    with_start = parse('task = "segmentation"\n' + TEXT, ["start.model=a"])
    assert with_start.start is not None
    assert parse('task = "segmentation"\n' + TEXT, ["start.model=a", "start=none"]).start is None
