"""The plain Flower way, once, with two hospitals: a drill, which runs where WARDROUND_DRILLS is set.

That a deployment gives the model of inline and leaves no process `test_one_file_four_engines.py` shows in every run,
and that mapped files do in processes `test_lazy_models.py`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from client.prepared import OFF, VARIABLE
from experiments.engines._quiet import run_quietly
from tests.client.source_makers import make_nifti
from tests.experiments.test_lazy_models import study_of


def left_of(mark: str) -> list[str]:
    """Flower's processes that descend from this test, whoever their parent is now; not those of a test beside it."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            name = " ".join(process.cmdline())
            if ("flower-super" in name or "flwr-" in name) and process.environ().get("WARDROUND_TEST") == mark:
                left.append(name)
    return left


@pytest.mark.skipif(not os.environ.get("WARDROUND_DRILLS"), reason="a drill: set WARDROUND_DRILLS=1")
def test_flwr_run_on_a_superlink_with_two_supernodes_gives_the_model_of_inline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Volumes of unlike shape, in mapped files on the nodes and in memory inline."""
    monkeypatch.setenv("WARDROUND_TEST", str(tmp_path))
    data = tmp_path / "data"
    data.mkdir()
    make_nifti(data)
    settings = ("rounds=1", 'source.table="sites.csv"', "federation.evaluate_every=0")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "prepared"))
    deployed = run_quietly(study_of(data, "engine=deployment", *settings), tmp_path / "deployed")
    assert list((tmp_path / "prepared").glob("*.json"))
    monkeypatch.setenv(VARIABLE, OFF)
    inline = run_quietly(study_of(data, *settings), tmp_path / "inline")
    assert deployed.about["model_sha256"] == inline.about["model_sha256"]
    assert deployed.final["test"] == inline.final["test"]
    assert left_of(str(tmp_path)) == []
