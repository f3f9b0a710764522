"""Real processes that die, hang, raise and lie, on the processes engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import misbehaving_app
import psutil
import pytest

from client.hospital import site_names
from common.errors import TooFewHospitalsError
from common.study.study import Study
from experiments.engines._quiet import read_outcome
from experiments.engines.processes import Processes
from server.app import app as server_app

VILLAIN = "hospital-2"


@pytest.fixture
def run_with(tiny: Callable[..., Study], tmp_path: Path) -> Callable[..., Path]:
    def run(mischief: str, *overrides: str, place: str = "run") -> Path:
        study = tiny(*overrides)
        folder = tmp_path / place
        own = folder / "hospitals" / VILLAIN
        own.mkdir(parents=True)
        (own / "mischief.txt").write_text(mischief)
        config = {"study": study.text, "study-name": "tiny", "run-folder": str(folder), "hospitals": 4}
        Processes().run(
            server_app=server_app,
            client_app="misbehaving_app:app",
            sites=site_names(study),
            run_config=config,
            folder=folder,
            record_traffic=True,
        )
        return folder

    return run


def run_with_patience(run_with: Callable[..., Path], mischief: str) -> tuple[int, Path]:
    """Run with ever longer timeouts until only the villain misses one: seconds it took, and the run folder.

    What hangs costs its whole timeout, so it begins short; on a busy machine honest hospitals need longer.
    """
    for patience_s in (6, 24, 96, 384):
        place = f"run-{patience_s}"
        try:
            folder = run_with(mischief, f"federation.round_timeout_s={patience_s}", place=place)
        except TooFewHospitalsError:
            continue
        if [(number, site) for number, site, _ in reasons(folder)] == [(2, VILLAIN), (3, VILLAIN)]:
            return patience_s, folder
    pytest.fail("hospitals that are honest miss a timeout of six minutes")


def reasons(folder: Path) -> list[tuple[int, str, str]]:
    return [(r["round"], d["site"], d["reason"]) for r in read_outcome(folder).rounds for d in r["dropped"]]


@pytest.mark.parametrize(
    ("mischief", "said"),
    [
        ("nan", "1 of 314 numbers are not finite"),
        ("wrong shape", "holds 3 numbers; the model needs 314"),
        ("negative weight", "the weight is -5; it must be above 0"),
        ("huge weight", "at most"),
        ("nonsense", "not array, data, numbers or words"),
        ("raise inside", "incident "),
        ("raise outside", "incident "),
        ("end", "its process ended (signal 9, SIGKILL)"),
    ],
)
def test_a_bad_hospital_is_dropped_by_name_and_the_others_go_on(
    run_with: Callable[..., Path], mischief: str, said: str
) -> None:
    folder = run_with(mischief)
    dropped = reasons(folder)
    assert [(number, site) for number, site, _ in dropped] == [(2, VILLAIN), (3, VILLAIN)]
    assert said in dropped[0][2]
    outcome = read_outcome(folder)
    assert [len(record["contributed"]) for record in outcome.rounds] == [4, 3, 3]
    assert outcome.about["state"] == "completed"


def name_of(process: psutil.Process) -> str:
    """Its command; "" of one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.parametrize("mischief", ["stop", "sleep"])
def test_a_hospital_that_hangs_costs_one_bounded_wait_and_no_more_and_leaves_no_process_behind(
    run_with: Callable[..., Path], mischief: str
) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    seconds, folder = run_with_patience(run_with, mischief)
    names = [name_of(child) for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert all("forkserver" in name or "resource_tracker" in name for name in names if name)
    assert reasons(folder) == [
        (2, VILLAIN, f"no reply within {seconds} s"),
        (3, VILLAIN, "it is still busy with an earlier request"),
    ]


def test_a_run_below_its_minimum_stops_and_says_who_failed_and_why(
    run_with: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(TooFewHospitalsError, match=r"3 hospitals contributed .* demands 4.*hospital-2: its process"):
        run_with("end", "federation.least_in_sum=4")
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    assert (about["state"], about["rounds_done"]) == ("stopped", 1)
    assert "hospital-2" in about["reason"]
    assert (tmp_path / "run" / "checkpoint" / "last.safetensors").exists()
    assert "hospital-2" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("mischief", ["raise inside", "raise outside"])
def test_an_exceptions_text_stays_in_the_hospitals_own_log(run_with: Callable[..., Path], mischief: str) -> None:
    folder = run_with(mischief)
    own = folder / "hospitals" / VILLAIN
    assert misbehaving_app.PATIENT in (own / "incidents.log").read_text()
    number = reasons(folder)[0][2].split()[1].rstrip(";")
    assert number in (own / "incidents.log").read_text()
    recorded = sorted((folder / "traffic").glob("*.bin"))
    assert len(recorded) > 20
    outside = [path for path in folder.rglob("*") if path.is_file() and "hospitals" not in path.parts]
    for path in outside:
        assert b"Jane" not in path.read_bytes(), path
        assert b"ValueError" not in path.read_bytes(), path
