"""Tasks that reconstruct, whose operators travel with the cases, give one model: on engines, and where they go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.engines._quiet import run_quietly
from tests.experiments.test_reconstruction_protected import own

TASKS = ("unrolled", "postprocessed", "superresolution", "generator")
BY_MASK = ("source.operators=['inpainting']", "task={name='unrolled', operator='inpainting', iterations=1}")


@pytest.mark.parametrize("name", TASKS)
def test_a_resumed_reconstruction_ends_with_the_model_of_one_that_never_stopped(tmp_path: Path, name: str) -> None:
    whole = run_quietly(own(name, "rounds=2"), tmp_path / "whole")
    run_quietly(own(name, "rounds=1"), tmp_path / "parts")
    resumed = run_quietly(own(name, "rounds=2"), tmp_path / "parts", resume=True)
    assert resumed.about["model_sha256"] == whole.about["model_sha256"]
    assert not (tmp_path / "whole" / "problems.jsonl").exists()


def test_processes_measure_and_learn_as_one_process_does(tmp_path: Path) -> None:
    """Every hospital draws its masks itself."""
    models = {
        engine: run_quietly(own("unrolled", *BY_MASK, f"engine={engine}"), tmp_path / engine).about["model_sha256"]
        for engine in ("inline", "processes")
    }
    assert models["inline"] == models["processes"]
