"""The whole way to hospitals, once: mutual TLS, front, SuperLink, supervisor and nodes, two of which are killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from common.files.tensor_files import read_tensors
from common.study.study import Study
from experiments.benchmarks._node_drills import Fault, drill, same_model
from experiments.coordinator.standing import lines_of, standing_of
from experiments.engines._quiet import run_quietly

TAUGHT = 'task={name="byol", network={name="groupnorm_cnn", channels=4}, projection=8, hidden=8}'


def test_nodes_give_the_model_of_inline_to_the_bit_though_a_node_and_the_front_are_killed(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    """Of a task with a teacher, which travels beside the model and must be there again after a crash."""
    settings = ("rounds=2", "partition.hospitals=2", TAUGHT)
    inline = run_quietly(tiny(*settings), tmp_path / "inline")
    faults = [Fault("front", 0), Fault("node", 1)]
    drilled = drill(tiny("engine=nodes", *settings), tmp_path / "nodes", faults)
    assert same_model(drilled.outcome, inline)
    assert any(name.startswith("teacher.") for name in read_tensors(tmp_path / "nodes", "model.safetensors").tensors)
    assert [record["contributed"] for record in drilled.outcome.rounds] == [
        record["contributed"] for record in inline.rounds
    ]
    assert drilled.dropped == () and drilled.missed == () and drilled.attempts == 1
    assert drilled.outcome.about["engine"] == "nodes"
    assert left_of(tmp_path) == []
    found = standing_of(tmp_path / "nodes" / "coordinator")
    assert (found["up"], found["nodes"], found["front"]) == (False, [], {})
    assert found["jobs"][0] | {"state": "completed", "rounds_done": 2, "rounds": 2, "code": 0} == found["jobs"][0]
    assert "Not served" in lines_of(found)[0] and lines_of(found)[-1] == "job 1 (drill): completed, 2 of 2 rounds"


def left_of(folder: Path) -> list[str]:
    """Processes whose command names the folder."""
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]
