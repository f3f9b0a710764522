"""The plain Flower way, once, with two hospitals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from common.study import Study
from experiments.quiet import run_quietly


def test_flwr_run_on_a_superlink_with_two_supernodes_gives_the_model_of_inline(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    before = {process.pid for process in psutil.process_iter()}
    settings = ("rounds=1", "partition.hospitals=2", "federation.evaluate_every=0")
    deployed = run_quietly(tiny("engine=deployment", *settings), tmp_path / "deployed")
    inline = run_quietly(tiny(*settings), tmp_path / "inline")
    assert deployed.about["model_sha256"] == inline.about["model_sha256"]
    assert deployed.final["test"] == inline.final["test"]
    names = [" ".join(p.cmdline()) for p in psutil.process_iter() if p.pid not in before]
    assert not [name for name in names if "flower-super" in name or "flwr-serverapp" in name]
