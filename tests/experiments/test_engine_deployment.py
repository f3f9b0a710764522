"""The plain Flower way, once, with two hospitals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from common.study import Study
from experiments.quiet import run_quietly


def left_of(mark: str) -> list[str]:
    """Flower's processes that descend from this test, whoever their parent is now; not those of a test beside it."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            name = " ".join(process.cmdline())
            if ("flower-super" in name or "flwr-" in name) and process.environ().get("WARDROUND_TEST") == mark:
                left.append(name)
    return left


def test_flwr_run_on_a_superlink_with_two_supernodes_gives_the_model_of_inline(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_TEST", str(tmp_path))
    settings = ("rounds=1", "partition.hospitals=2", "federation.evaluate_every=0")
    deployed = run_quietly(tiny("engine=deployment", *settings), tmp_path / "deployed")
    inline = run_quietly(tiny(*settings), tmp_path / "inline")
    assert deployed.about["model_sha256"] == inline.about["model_sha256"]
    assert deployed.final["test"] == inline.final["test"]
    assert left_of(str(tmp_path)) == []
