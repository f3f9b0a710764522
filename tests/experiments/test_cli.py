"""The command as a person uses it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from time import sleep

import psutil
import pytest
from rich.console import Console

from common.study.study import Study
from experiments.benchmark import Measured, Target, as_json, show
from experiments.commands.lists import KINDS
from experiments.engines import _fork_server

COMMAND = [sys.executable, "-m", "experiments.cli"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def study_file(tiny: Callable[..., Study], tmp_path: Path) -> Callable[..., Path]:
    def write(*overrides: str) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(tiny(*overrides).text)
        return path

    return write


def test_a_run_ends_with_a_report_that_is_there(
    wardround: Callable[..., tuple[int, str]], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    place = tmp_path / "run"
    code, said = wardround("run", str(study_file()), "--folder", str(place), "--set", "rounds=2")
    assert (code, "round 2 of 2" in said, "completed" in said) == (0, True, True)
    assert str(place / "report.html") in said
    for name in ("report.html", "summary.json", "study.toml", "model.safetensors", "final.json", "traffic.json"):
        assert (place / name).stat().st_size > 0
    code, said = wardround("run", str(study_file()), "--folder", str(place))
    assert code == 1
    assert "already holds a run; resume it" in said


def test_baselines_are_trained_beside_the_federation(
    wardround: Callable[..., tuple[int, str]], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = study_file("baselines.local=true", "baselines.pooled=true")
    assert wardround("run", str(path), "--folder", str(tmp_path / "run"))[0] == 0
    table = json.loads((tmp_path / "run" / "baselines.json").read_text())
    assert table.keys() >= {"local", "local_all", "pooled", "pooled_all", "seconds"}
    assert len(table["local"]) == len(table["pooled"]) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "dmo"], "did you mean 'demo'"),
        (["run", "absent.toml"], "there is no file absent.toml"),
        (["run", "demo", "--set", "strategy=fedagv"], "did you mean 'fedavg'"),
        (["run", "demo", "--folder", __file__], "is a file; a run needs a folder of its own"),
        (["metrics", "absent", "."], "there is no file or folder absent"),
        (["check", "demo", "--set", "rounds=none"], "must be a whole number"),
        (["list", "strategy"], "did you mean 'strategies'"),
        (["resume", "."], "it is not a run folder"),
        (["report", "."], "it is not a run folder"),
        (["bench", "hart"], "did you mean 'heart'"),
        (["data", "fetch", "hart"], "did you mean 'heart'"),
    ],
)
def test_a_mistake_is_answered_in_one_line_without_a_traceback(
    wardround: Callable[..., tuple[int, str]], arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("begin_early", "end"):  # of a process that would be ended at once; see test_early_start.py
        monkeypatch.setattr(_fork_server, name, lambda: None)
    code, output = wardround(*arguments)
    assert code == 1
    assert said in output.replace("\n", " ")
    assert "Traceback" not in output


def test_everything_a_study_can_name_is_listed(wardround: Callable[..., tuple[int, str]]) -> None:
    code, said = wardround("list")
    assert code == 0
    for catalogue in KINDS.values():
        for name in catalogue.names():
            assert name in said or name.replace("_", "-") in said
    assert "demo" in said


def test_a_checked_study_is_printed_whole(wardround: Callable[..., tuple[int, str]]) -> None:
    code, said = wardround("check", "demo", "--set", "rounds=7")
    assert code == 0
    assert "rounds = 7" in said


def listen_to_interrupts() -> None:
    """As a terminal's process does: one whose tests run in the background would inherit that they are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def started(start_process: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., subprocess.Popen[bytes]]:
    """The command, once its first round is recorded. What it says goes to a file: a pipe nobody reads fills up."""

    def start(command: list[str], place: Path, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as said:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            process = start_process(
                command, env=environment, stdout=said, stderr=subprocess.STDOUT, preexec_fn=listen_to_interrupts
            )
        while not (place / "rounds.jsonl").exists():
            assert process.poll() is None, log.read_text()
            sleep(0.1)
        return process

    return start


def test_ctrl_c_ends_every_process_and_leaves_a_run_that_can_be_resumed(
    wardround: Callable[..., tuple[int, str]],
    started: Callable[..., subprocess.Popen[bytes]],
    study_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    place, log = tmp_path / "run", tmp_path / "said.txt"
    path = study_file("engine=processes", "rounds=100000", "partition.hospitals=2")
    process = started([*COMMAND, "run", str(path), "--folder", str(place)], place, log)
    family = psutil.Process(process.pid).children(recursive=True)
    try:
        assert len(family) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130, log.read_text()
        _, alive = psutil.wait_procs(family, timeout=120)
        assert alive == []
    finally:
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    about = json.loads((place / "about.json").read_text())
    assert (about["state"], about["reason"]) == ("stopped", "it was interrupted from the keyboard")
    text = (place / "study.toml").read_text().replace("rounds = 100000", f"rounds = {about['rounds_done'] + 1}")
    (place / "study.toml").write_text(text)
    assert wardround("resume", str(place))[0] == 0
    assert json.loads((place / "about.json").read_text())["state"] == "completed"


def test_a_benchmark_prints_its_table_and_writes_the_same_as_json(tmp_path: Path) -> None:
    target = Target("speed", 1.5, 3.0, 1.0, "at most 2", True)
    measured = Measured("A title", [{"who": "us", "s": 1.5}, {"who": "peer", "s": None}], [target], ["a note"])
    written = StringIO()
    show(measured, Console(file=written, width=20), tmp_path / "out.json")
    said = written.getvalue()
    assert all(word in said for word in ("A title", "us", "1.5", "a note", "at most 2", "yes"))
    table = json.loads((tmp_path / "out.json").read_text())
    assert table["targets"][0] == {
        "name": "speed",
        "ours": 1.5,
        "peer": 3.0,
        "bound": 1.0,
        "target": "at most 2",
        "met": True,
    }
    assert table["rows"] == as_json(measured)["rows"]
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", table["day"]) and table["machine"].endswith(" cores")
    assert table["commit"] is None or re.fullmatch(r"[0-9a-f]{12}(-dirty)?", table["commit"])
