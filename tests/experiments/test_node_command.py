"""`wardround node run` as a service manager sees it: one a folder, signs of life, and exit statuses that tell."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from client.fleet import loop
from client.fleet.running import LOCK
from common.errors import LASTING, HospitalError, UnwrittenError
from common.files.locks import held
from experiments.engines import _consortium
from experiments.hospital.node_process import run_in

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a hospital whose coordinator is not there."""
    place = tmp_path_factory.mktemp("consortium")
    _consortium.make(place / "coordinator", {"va": place / "va"})
    return place / "va"


def test_a_folder_that_is_not_set_up_is_a_lasting_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run_in(tmp_path) == LASTING == 78
    assert "node.toml" in caplog.text


def test_two_nodes_never_run_in_one_folder(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with held(folder, LOCK, "busy"):
        assert run_in(folder) == 1
    assert "another node runs in it" in caplog.text


def test_a_key_that_cannot_be_used_is_a_lasting_failure(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "node.toml").write_bytes((folder / "node.toml").read_bytes())
    assert run_in(tmp_path) == LASTING
    assert "keys" in caplog.text


def test_a_full_disk_is_waited_for_and_a_log_that_somebody_changed_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def noted(where: Path, event: str, **facts: object) -> None:
        if event == "node started" and not caplog.text.count("waited for"):
            raise UnwrittenError("log.jsonl cannot be written: no space is left")
        raise HospitalError("the end of log.jsonl is not the one that its seal names")

    monkeypatch.setattr(loop, "note", noted)
    monkeypatch.setattr(loop, "LONGEST_PAUSE_S", 0.01)
    assert run_in(folder) == LASTING
    assert "no space is left" in caplog.text and "is not the one" in caplog.text


def test_a_node_tells_systemd_that_it_is_ready_and_ends_with_143_on_sigterm_wherever_it_waits(
    folder: Path, tmp_path: Path, start_process: Callable[..., subprocess.Popen[Any]]
) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(LIMIT_S)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "experiments.cli", "node", "run", "--folder", str(folder)]
        node = start_process(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert listening.recv(1000).startswith(b"READY=1\n")
        assert node.stderr is not None
        assert "not reached" in node.stderr.readline()
        node.send_signal(signal.SIGTERM)
        assert listening.recv(1000) == b"STOPPING=1"
        assert node.wait(LIMIT_S) == 143
