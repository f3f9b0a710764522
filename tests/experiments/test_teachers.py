"""Runs with a teacher: one result on several engines and after a stop, exports without it, and starts of encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from common.data.cases import Shape
from common.files.tensor_files import read_tensors, write_tensors
from common.learning.parameters import new_network, read
from common.learning.start import begins_with, first_network, with_digest
from common.study.study import Study, parse
from experiments.engines._quiet import run_quietly
from experiments.exporting.answering import answering

TEXT = """
title = "Of a teacher"
engine = "inline"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4, 4, 4], slices_per_patient = 1 }
task = "byol"
training = { batch_size = 2, steps = 2, learning_rate = 0.001, optimiser = "adamw" }
federation = { start_timeout_s = 600, round_timeout_s = 600 }
baselines = { local = false, pooled = false }
"""
SHAPE = Shape((1, 8, 8), 2)
TASKS = {
    "byol": 'task={name="byol", network={name="groupnorm_cnn", channels=4}, projection=8, hidden=8}',
    "dino": 'task={name="dino", network={name="groupnorm_cnn", channels=4}, projection=8, hidden=8, prototypes=8, '
    "local_crops=1}",
}


def pictures(*overrides: str) -> Study:
    return parse(TEXT, overrides)


@pytest.mark.parametrize("name", TASKS)
def test_processes_that_stopped_and_went_on_give_the_bit_identical_model_of_inline(tmp_path: Path, name: str) -> None:
    whole = run_quietly(pictures(TASKS[name], "rounds=2"), tmp_path / "whole")
    run_quietly(pictures(TASKS[name], "rounds=1", "engine=processes"), tmp_path / "parts")
    resumed = run_quietly(pictures(TASKS[name], "rounds=2", "engine=processes"), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    held = read_tensors(tmp_path / "whole", "model.safetensors").tensors
    assert {"centre.mean", "moments.square", "teacher.moments.square"} <= held.keys()


@pytest.fixture
def saved(tiny: Callable[..., Study], tmp_path: Path) -> tuple[Study, nn.Module]:
    """A study that starts from an encoder alone, and the network it is of."""
    network = new_network(tiny(TASKS["byol"]).build_task(), SHAPE, 7)
    tensors = {name: one.detach().numpy() for name, one in network.named_parameters()}
    write_tensors(tmp_path, "model.safetensors", tensors)
    study = tiny(TASKS["byol"], f'start={{model="{tmp_path}/model.safetensors", only=["encoder.*"]}}')
    return with_digest(study), network


def test_a_teacher_begins_as_the_encoder_that_a_study_starts_from(saved: tuple[Study, nn.Module]) -> None:
    study, pretrained = saved
    task = study.build_task()
    network = first_network(study, task, SHAPE)
    for name, one in pretrained.get_submodule("encoder").named_parameters():
        assert torch.equal(network.get_parameter(f"teacher.encoder.{name}"), one)
    assert begins_with(study, task, SHAPE, read(network))
    network.get_parameter("teacher.encoder.body.0.0.weight").data.add_(0.1)
    assert not begins_with(study, task, SHAPE, read(network))


def test_what_takes_no_part_in_answers_is_left_out_of_an_export(tiny: Callable[..., Study]) -> None:
    network = new_network(tiny(TASKS["dino"]).build_task(), SHAPE, 1).eval()
    lean = answering(network, torch.zeros(2, *SHAPE.inputs))
    assert {name for name, _ in lean.named_children()} == {"encoder"}
    assert {name for name, _ in network.named_children()} > {"encoder", "teacher"}


class Behind(nn.Module):
    """Uses its part without asking it."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.part.weight


def test_a_part_that_is_used_behind_its_back_stays() -> None:
    network = Behind()
    assert answering(network, torch.ones(1, 2)) is network
