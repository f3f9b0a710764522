"""Where a party computes: words, sharing, and that nothing starts a GPU before processes are forked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from client.policy import POLICY_FILE, read_policy
from common.data.cases import Batch
from common.errors import DeviceError
from common.learning import device
from common.learning.device import VARIABLE, ask, autocast, chosen, described, exact_copy, home, placed, repeatable

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_without_a_gpu_auto_is_the_cpu(no_gpu: None) -> None:
    assert chosen() == torch.device("cpu")


def test_hospitals_of_one_machine_share_its_gpus_in_turn(two_gpus: None) -> None:
    assert [str(chosen("auto", share)) for share in range(5)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert [str(chosen("cuda", share)) for share in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


def test_a_gpu_that_is_named_is_that_one_for_all(two_gpus: None) -> None:
    assert {str(chosen("cuda:1", share)) for share in range(4)} == {"cuda:1"}
    assert {str(chosen("cpu", share)) for share in range(4)} == {"cpu"}


def test_an_absent_gpu_is_refused_and_what_there_is_said(two_gpus: None) -> None:
    with pytest.raises(DeviceError, match=r"No device 'cuda:2' on this machine\. There are: cpu, cuda:0, cuda:1"):
        chosen("cuda:2")


@pytest.mark.parametrize("word", ["cuda", "cuda:0", "mps"])
def test_what_the_machine_lacks_is_refused(no_gpu: None, word: str) -> None:
    with pytest.raises(DeviceError, match=f"No device {word!r} on this machine. There are: cpu"):
        chosen(word)


@pytest.mark.parametrize(
    ("word", "near"), [("gpu", "cuda"), ("gpu:1", "cuda"), ("CUDDA", "cuda"), ("atuo", "auto"), ("cuda:-1", "cuda")]
)
def test_a_word_that_is_no_device_is_told_the_nearest(word: str, near: str) -> None:
    with pytest.raises(DeviceError, match=f"did you mean {near!r}"):
        chosen(word)


def test_the_environment_says_it_and_is_named_where_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    monkeypatch.setenv(VARIABLE, " CUDA:1 ")
    assert str(chosen()) == "cuda:1"
    monkeypatch.setenv(VARIABLE, "tpu")
    with pytest.raises(DeviceError, match=VARIABLE):
        chosen()


def test_asking_is_remembered_only_where_the_device_is_there(monkeypatch: pytest.MonkeyPatch, two_gpus: None) -> None:
    monkeypatch.setenv(VARIABLE, "cpu")
    with pytest.raises(DeviceError):
        ask("cuda:9")
    assert chosen() == torch.device("cpu")
    ask("cuda")
    assert str(chosen(share=1)) == "cuda:1"


def test_a_hospital_names_its_own_device(tmp_path: Path) -> None:
    (tmp_path / POLICY_FILE).write_text('device = "cuda:1"\n')
    assert read_policy(tmp_path).device == "cuda:1"
    (tmp_path / POLICY_FILE).write_text('device = "gpu"\n')
    with pytest.raises(DeviceError, match=r"policy.toml device 'gpu'; did you mean 'cuda'"):
        read_policy(tmp_path)


def _flags() -> tuple[bool, ...]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    deterministic = (
        torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    )  # fmt: skip
    return (*deterministic, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32)


def test_on_a_gpu_algorithms_are_repeatable_and_afterwards_all_is_as_it_was() -> None:
    before = _flags()
    with repeatable(torch.device("cuda", 0)):
        assert _flags() == (True, True, False, True, False, False)
    assert _flags() == before
    with pytest.raises(ValueError, match="stop"), repeatable(torch.device("cuda", 0)):
        raise ValueError("stop")
    assert _flags() == before


def test_on_the_cpu_nothing_of_torch_is_changed() -> None:
    before = _flags()
    with repeatable(torch.device("cpu")):
        assert _flags() == before


def test_a_copy_in_float64_is_on_the_cpu_where_a_device_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Linear(2, 1)
    copied = exact_copy(network)
    assert (copied.weight.dtype, network.weight.dtype) == (torch.float64, torch.float32)
    assert torch.equal(copied.weight, network.weight.double())


def test_a_batch_keeps_doubles_at_home_where_a_device_has_none() -> None:
    batch = Batch.of(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4).long(), ("a", "b"), spacing_mm=(1.0, 2.0))
    moved = batch.to(torch.device("meta"))
    assert {moved.inputs.device.type, moved.targets.device.type} == {"meta"}
    assert moved.patients == ("a", "b")
    assert batch.to(torch.device("cpu")).inputs is batch.inputs


def test_lower_precision_is_refused_where_a_device_has_none() -> None:
    network = placed(torch.nn.Linear(2, 1), torch.device("meta"))
    assert home(network).type == "meta"
    with autocast(home(network), "float32"):
        pass
    with pytest.raises(DeviceError, match="bfloat16"):
        autocast(home(network), "bfloat16")


def test_a_record_names_the_device(no_gpu: None) -> None:
    assert described().startswith("cpu (")


def test_a_record_names_gpus_and_driver_by_what_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    for index in range(2):
        (tmp_path / "gpus" / f"0000:0{index}").mkdir(parents=True)
        (tmp_path / "gpus" / f"0000:0{index}" / "information").write_text(
            "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 3\n"
        )
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n")
    monkeypatch.setattr(device, "KERNEL_MODULE", tmp_path)
    assert described().startswith("2 x NVIDIA H100 80GB HBM3, driver 550.54.15, CUDA ")


TRIPWIRE = """
import sys
import torch
started = []
torch.backends.cuda.is_built = lambda: True
torch.cuda._is_compiled = lambda: True
for name in ("_lazy_init", "is_current_stream_capturing", "current_device", "init"):
    setattr(torch.cuda, name, lambda *a, **k: started.append(name))
torch._C._cuda_getDeviceCount = lambda: started.append("count") or 1
torch._C._cuda_getCurrentRawStream = lambda *a: started.append("stream")
import client.warm
print(started)
"""


def test_the_process_that_hospitals_are_forked_from_never_looks_for_a_gpu() -> None:
    """Adam asks whether CUDA records a graph, and so starts CUDA, after which no child could."""
    done = subprocess.run(
        [sys.executable, "-c", TRIPWIRE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[]\n"


def test_a_network_is_the_same_on_every_device_before_it_learns() -> None:
    from common.data.cases import Shape
    from common.learning.parameters import new_network, read
    from common.learning.tasks.classification import Classification

    before = torch.random.get_rng_state()
    one, two = (new_network(Classification(), Shape((5,), 3), 7) for _ in range(2))
    assert np.array_equal(read(one), read(two))
    assert torch.equal(before, torch.random.get_rng_state())
