"""Which party says on which device a hospital computes, and how engines deal out a machine's GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from flwr.app import Context, RecordDict
from typer.testing import CliRunner

from client.app import _device
from client.policy import POLICY_FILE
from common.errors import DeviceError, EngineError
from common.learning.device import VARIABLE
from experiments.cli import cli
from experiments.engines import simulation
from experiments.engines._local_run import LocalRun


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def device_of(folder: Path, **config: Any) -> str:
    return str(_device(Context(1, 2, {"folder": str(folder), **config}, RecordDict(), {})))


def test_a_hospitals_policy_goes_before_its_nodes_configuration_and_that_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "cpu")
    assert device_of(tmp_path) == "cpu"
    assert device_of(tmp_path, device="cuda:1") == "cuda:1"
    (tmp_path / POLICY_FILE).write_text('device = "cuda:0"\n')
    assert device_of(tmp_path, device="cuda:1") == "cuda:0"


def test_a_hospital_whose_device_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cuda:7"):
        device_of(tmp_path, device="cuda:7")


def test_processes_are_told_what_was_asked_and_take_gpus_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "cuda")
    local = LocalRun.new("processes", ("a", "b", "c"), tmp_path, False, 1)
    configs = [dict(local.config(index)) for index in range(3)]
    monkeypatch.delenv(VARIABLE)  # as in a process that was forked before it was set
    assert [device_of(tmp_path, **config) for config in configs] == ["cuda:0", "cuda:1", "cuda:0"]


def test_ray_is_asked_for_as_much_of_a_gpu_as_lets_all_work_that_the_cores_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulation, "usable_cores", lambda: 16)
    assert simulation._gpus_a_hospital(1.0) == 0.125
    assert simulation._gpus_a_hospital(4.0) == 0.5
    assert simulation._gpus_a_hospital(16.0) == 1.0
    monkeypatch.setenv(VARIABLE, "cpu")
    assert simulation._gpus_a_hospital(1.0) == 0.0
    monkeypatch.setenv(VARIABLE, "cuda:1")
    with pytest.raises(EngineError, match="ask for auto, cpu or cuda"):
        simulation._gpus_a_hospital(1.0)


@pytest.mark.parametrize(
    ("word", "said"),
    [("gpu", "No device 'gpu'; did you mean 'cuda'?"), ("cuda:5", "There are: cpu, cuda:0, cuda:1")],
)
def test_a_command_refuses_a_device_in_one_line(word: str, said: str) -> None:
    done = CliRunner().invoke(cli, ["run", "demo", "--device", word])
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output
