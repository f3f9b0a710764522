"""What lies around a run and must not matter to it: proxies, files of the current folder, the starting script."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from client.process import GRPC_OPTIONS
from common.study.study import Study
from experiments.engine import QUIET, without_proxy
from experiments.running.run import run_study
from server.app import progress
from server.progress import Event, RoundFinished
from tests.ended import ended

ROOT = Path(__file__).parents[2]
HIDING = ("client", "server", "common", "random", "study", "numpy", "torch")
SCRIPT = """
import json, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from common.study.study import parse_json
from experiments.running.run import run_study
run_study(parse_json(Path("study.json").read_text()), "tiny", Path("run"))
"""


def test_a_script_without_a_main_guard_runs_in_a_folder_of_files_named_like_ours_behind_a_proxy(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    for name in HIDING:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')")
    place = tmp_path / "elsewhere"
    place.mkdir()
    script = place / "start.py"
    script.write_text(SCRIPT.format(root=str(ROOT)))
    study = tiny("engine=processes", "rounds=1")
    (tmp_path / "study.json").write_text(study.json)
    nobody = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY"), nobody)
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies
    environment |= {
        "PYTHONIOENCODING": "ascii",
        "COLUMNS": "40",
        "TERM": "dumb",
        "LC_ALL": "C",
        "TZ": "Asia/Kathmandu",
    }
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, str(script)]
    done = ended(command, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "about.json").read_text())["state"] == "completed"


def test_no_channel_of_ours_asks_a_proxy_and_every_child_is_told_not_to() -> None:
    assert ("grpc.enable_http_proxy", 0) in GRPC_OPTIONS
    assert QUIET["PYTHONSAFEPATH"] == "1"
    told = without_proxy({"no_proxy": "intranet.example, 127.0.0.1"})
    assert told["NO_PROXY"] == told["no_proxy"] == "intranet.example,127.0.0.1,localhost,::1"


def test_a_package_that_hides_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = ended([sys.executable, "-P", "-S", "-c", "import experiments"], env=environment)
    assert "'common' is hidden by" in done.stderr
    assert str(tmp_path / "common") in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_job_leaves_what_ctrl_c_leaves(
    tiny: Callable[..., Study], wardround: Callable[..., tuple[int, str]], tmp_path: Path, number: signal.Signals
) -> None:
    asked: list[str] = []

    def end(event: Event) -> None:
        if isinstance(event, RoundFinished) and not asked:
            asked.append("once")
            signal.raise_signal(number)

    (tmp_path / "tiny.toml").write_text(tiny().text)
    before = signal.getsignal(number)
    progress.subscribe(end)
    code, said = wardround("run", str(tmp_path / "tiny.toml"), "--folder", str(tmp_path / "run"))
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    assert code == 128 + number, said
    assert (about["state"], about["reason"]) == ("stopped", f"it was ended by {number.name}")
    assert about["rounds_done"] == 1
    assert signal.getsignal(number) is before
    assert wardround("resume", str(tmp_path / "run"))[0] == 0
    progress._subscribers.remove(end)


def test_a_signal_that_is_ignored_stays_ignored(tiny: Callable[..., Study], tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def end(event: Event) -> None:
        signal.raise_signal(signal.SIGHUP)

    progress.subscribe(end)
    try:
        run_study(tiny("rounds=1"), "tiny", tmp_path / "run")
    finally:
        progress._subscribers.remove(end)
        signal.signal(signal.SIGHUP, before)
    assert json.loads((tmp_path / "run" / "about.json").read_text())["state"] == "completed"
