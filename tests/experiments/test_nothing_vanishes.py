"""Whatever is lost in a run: named with its reason on the screen, in the record, the report and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner
from vanishing_app import PATIENT

from common.errors import StudyError
from common.study.study import Study
from experiments.audit import conduct
from experiments.cli import cli
from experiments.engines import _pooled as pooled
from experiments.engines import _quiet as quiet
from experiments.evidence.ground_truth import all_cases
from experiments.evidence.observing import observe
from experiments.running import gallery
from experiments.running import run as running

LOST = "hospital-2"
AT_START = "federation.hospitals_at_start=3"
NIFTI = """
title = "Discs"
rounds = 1
seed = 1
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
federation = { hospitals_at_start = 2, start_timeout_s = 600, round_timeout_s = 600 }
training = { steps = 1, batch_size = 4, learning_rate = 0.01 }
split = { validation = 0, test = 0.5 }

[source]
name = "nifti"
folder = "%s"
table = "sites.csv"
classes = ["background", "disc"]
size = 8
slices_per_patient = 2

[task]
name = "segmentation"
network = { name = "unet", channels = 2, depth = 1 }
"""
SITES = ("Köln", "Αθήνα", "東京 第一")


@pytest.fixture
def run(tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A run of the tiny study in which one hospital fails in some legs: exit code, screen, folder."""
    monkeypatch.setattr(quiet, "CLIENT_APP", "vanishing_app:app")

    def go(fails: str, *overrides: str, text: str = "") -> tuple[int, str, Path]:
        folder, study = tmp_path / "run", tmp_path / "tiny.toml"
        own = folder / "hospitals" / LOST
        own.mkdir(parents=True, exist_ok=True)
        (own / "fails.txt").write_text(fails)
        study.write_text(text or tiny("rounds=2", *overrides).text)
        result = CliRunner().invoke(cli, ["run", str(study), "--folder", str(folder)])
        return result.exit_code, result.output, folder

    return go


@pytest.fixture
def discs(tmp_path: Path) -> str:
    """A study of three hospitals with names in three alphabets, two patients each."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (tmp_path / "data" / part).mkdir(parents=True)
    rows = ["patient,site"]
    for number, site in enumerate(SITES * 2):
        labels = np.zeros((8, 8, 2), np.uint8)
        labels[2:5, 2:6] = 1
        image = labels + rng.normal(0, 0.1, labels.shape)
        for part, values in (("images", image.astype(np.float32)), ("labels", labels)):
            nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "data" / part / f"p{number}.nii.gz")
        rows.append(f"p{number},{site}")
    (tmp_path / "data" / "sites.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return NIFTI % (tmp_path / "data")


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def told_outside(folder: Path) -> bytes:
    """All that the server was sent or wrote of what it heard: no text of a hospital's error may be in it."""
    heard = [folder / name for name in ("rounds.jsonl", "problems.jsonl", "about.json", "roster.json")]
    heard += [path for path in (folder / "traffic").rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in heard if path.exists())


@pytest.mark.parametrize(
    ("fails", "overrides", "said"),
    [
        ("hello", (AT_START,), f"{LOST} took no part"),
        ("round", ("federation.least_in_sum=2",), f"{LOST} took no part"),
        ("model", (), f"{LOST} is missing from the final evaluation"),
        ("local", ("baselines.local=true",), f"{LOST} has no model of its own to compare with"),
    ],
)
def test_a_failure_in_any_leg_is_named_with_its_text_everywhere_and_exits_with_3(
    run: Callable[..., Any], fails: str, overrides: tuple[str, ...], said: str
) -> None:
    code, screen, folder = run(fails, "federation.record_traffic=true", *overrides)
    log = f"hospitals/{LOST}/incidents.log"
    page, table = (folder / "report.html").read_text(), summary(folder)
    assert code == 3
    assert "completed with problems" in screen and said in screen
    assert screen.count(PATIENT) >= 2 and log in screen, "at once and in the last lines"
    assert (table["state"], table["outcome"]) == ("completed", "completed with problems")
    (sentence,) = (one for one in table["problems"] if said in one)
    assert log in sentence and said in page and log in page
    assert PATIENT not in page and PATIENT not in json.dumps(table), "for the screen alone"
    assert PATIENT in (folder / log).read_text()
    assert (len(table["took_part"]), table["expected"]["hospitals"]) == (
        4 if said.startswith(LOST + " is") or fails == "local" else 3,
        4,
    )
    assert PATIENT.encode() not in told_outside(folder)


def test_one_lost_round_of_two_is_said_and_the_hospital_took_part(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "CLIENT_APP", "misbehaving_app:app")
    own = tmp_path / "run" / "hospitals" / LOST
    own.mkdir(parents=True)
    (own / "mischief.txt").write_text("raise outside")
    code, screen, folder = run("")
    table = summary(folder)
    assert code == 3 and f"{LOST} missed round 2: incident" in screen and screen.count(PATIENT) == 2
    assert LOST in table["took_part"]
    assert [(one["site"], one["rounds"]) for one in table["left_out"]["rounds"]] == [(LOST, [2])]


def test_a_run_that_does_not_begin_names_who_was_missing_in_its_record_too(run: Callable[..., Any]) -> None:
    code, screen, folder = run("hello")
    assert code == 1 and "completed" not in screen
    table = summary(folder)
    assert "3 of 4 hospitals are ready" in screen and f"{LOST} took no part" in screen and PATIENT in screen
    assert screen.count(f"{LOST} took no part") == 1, "the error that follows does not say it again"
    assert [one["site"] for one in table["left_out"]["hospitals"]] == [LOST]
    assert "incidents.log" in table["problems"][0] and f"{LOST} took no part" in (folder / "report.html").read_text()


def test_a_sum_of_groups_that_stops_for_who_took_no_part_says_so(run: Callable[..., Any]) -> None:
    code, screen, folder = run("hello", AT_START, "aggregation=secagg", "federation.dropout_wait_s=0")
    assert code == 1 and "no hospital was dropped" not in screen
    assert screen.count(f"{LOST} took no part: incident") == 1 and f"{LOST}: incident" not in screen
    assert LOST in summary(folder)["problems"][0]


def test_a_failure_in_a_leg_of_a_protocol_in_the_last_round_is_said(run: Callable[..., Any]) -> None:
    privacy = 'privacy={ name="dpsgd", noise_multiplier=1.0, delta=1e-3, unit="sample" }'
    code, screen, folder = run(
        "protocol", "aggregation=secagg", privacy, "federation.least_in_sum=3", "federation.dropout_wait_s=0"
    )
    assert code == 3, screen
    assert f"{LOST} took no part: incident" in screen and PATIENT in screen
    assert summary(folder)["took_part"] == ["hospital-0", "hospital-1", "hospital-3"]


def test_what_was_mended_before_a_resume_is_no_problem_any_more(run: Callable[..., Any]) -> None:
    code, _, folder = run("hello,model")
    assert code == 1
    (folder / "hospitals" / LOST / "fails.txt").write_text("model")
    assert CliRunner().invoke(cli, ["run", str(folder / "study.toml"), "--folder", str(folder)]).exit_code == 3
    assert [one["stage"] for one in summary(folder)["left_out"]["steps"]] == ["final evaluation"]
    (folder / "hospitals" / LOST / "fails.txt").unlink()
    result = CliRunner().invoke(cli, ["resume", str(folder)])
    assert (result.exit_code, summary(folder)["problems"]) == (0, []), result.output


@pytest.mark.parametrize(
    ("place", "name", "said", "error"),
    [
        (running, "write_pictures", "there are no pictures", ZeroDivisionError("by zero")),
        (running, "_audit", "the run was not audited", StudyError("the study says no")),
        (running, "_add_baselines", "there is no pooled model to compare with", StudyError("the study says no")),
    ],
)
def test_what_fails_after_the_rounds_leaves_a_run_that_completed_with_a_problem(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: Any, name: str, said: str, error: Exception
) -> None:
    class Ended:
        def join(self, _: float) -> None: ...

        def is_alive(self) -> bool:
            return False

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(pooled, "start", lambda *_: Ended())
    monkeypatch.setattr(place, name, failing)
    wanted = "baselines.pooled=true" if name == "_add_baselines" else "baselines.pooled=false"
    code, screen, folder = run("", "audit.after_run=true" if name == "_audit" else "rounds=1", wanted)
    assert (code, "completed with problems" in screen) == (3, True)
    (problem,) = summary(folder)["problems"]
    assert said in problem and str(error) in problem and problem[:40] in screen


def test_the_pooled_model_says_why_there_is_none(tiny: Callable[..., Study], tmp_path: Path) -> None:
    study = tiny('source.folder="/nowhere"')
    pooled._work(study.json, str(tmp_path / "pooled.json"), None)
    assert "SourceError" in json.loads((tmp_path / "pooled.json").read_text())["failed"]


def test_the_pooled_model_is_of_those_that_took_part(tiny: Callable[..., Study]) -> None:
    found = pooled.train_pooled(tiny("training.epochs=1"), ["hospital-0", "hospital-3"])
    assert sorted(found["pooled"]) == ["hospital-0", "hospital-3"]


def test_names_in_any_alphabet_take_part(run: Callable[..., Any], discs: str) -> None:
    code, screen, folder = run("", text=discs)
    table = summary(folder)
    assert (code, sorted(table["hospitals"]), table["problems"]) == (0, sorted(SITES), []), screen
    for name in ("report.html", "summary.json", "roster.json", "rounds.jsonl"):
        assert all(site in (folder / name).read_text() for site in SITES), name


def test_no_picture_and_no_row_is_of_a_hospital_that_took_no_part(
    run: Callable[..., Any], discs: str, tmp_path: Path
) -> None:
    (tmp_path / "run" / "hospitals" / "Köln").mkdir(parents=True)
    (tmp_path / "run" / "hospitals" / "Köln" / "fails.txt").write_text("hello")
    code, screen, folder = run("", text=discs)
    pictures = json.loads((folder / "pictures.json").read_text())
    assert (code, sorted(one["site"] for one in pictures if "rank" not in one)) == (3, sorted(SITES[1:]))
    assert {one["site"] for one in pictures} == set(SITES[1:])
    assert "2 of 3 expected hospitals took part" in screen
    assert "Köln took no part" in (folder / "report.html").read_text()
    assert [one["site"] for one in json.loads((folder / "roster.json").read_text())["sites"]] == sorted(SITES[1:])


def test_a_picture_that_cannot_be_made_costs_no_other(
    run: Callable[..., Any], discs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = gallery._picture

    def picture(hospital: Any, parameters: Any, known: Any = None) -> dict[str, Any]:
        if hospital.site == "Köln":
            raise ValueError("no such plane")
        return draw(hospital, parameters, known)

    monkeypatch.setattr(gallery, "_picture", picture)
    code, screen, folder = run("", text=discs)
    assert code == 3 and "Köln has no picture: ValueError: no such plane" in screen
    pictures = json.loads((folder / "pictures.json").read_text())
    assert len([one for one in pictures if "rank" not in one]) == 2
    assert all(one["site"] != "Köln" for one in pictures)


def test_cases_that_could_not_be_used_are_named_where_they_are_and_counted_elsewhere(
    run: Callable[..., Any], discs: str, tmp_path: Path
) -> None:
    (tmp_path / "data" / "labels" / "p0.nii.gz").unlink()
    code, screen, folder = run("", "federation.record_traffic=true", text=discs)
    file = folder / "hospitals" / "Köln" / "quarantined.txt"
    (line,) = file.read_text().splitlines()
    name, reason = line.split("\t")
    assert (code, name, file.stat().st_mode & 0o777) == (0, "p0", 0o600)
    assert f"Köln: 1 case could not be used:\n  p0: {reason}" in screen
    assert "p0.nii.gz" in reason and reason in (folder / "report.html").read_text()
    table = summary(folder)
    assert table["left_out"]["cases"]["Köln"]["named"] == [{"name": "p0", "reason": reason}]
    assert table["problems"] == ["Köln: 1 case could not be used; which and why is in hospitals/Köln/quarantined.txt"]
    assert reason.encode() not in told_outside(folder)


def test_an_audit_is_of_those_that_took_part_and_names_the_others(run: Callable[..., Any]) -> None:
    code, _, folder = run("hello", AT_START, "rounds=1", "federation.record_traffic=true")
    seen = observe(folder)
    conduct._check_hospitals(seen)
    assert (code, LOST in seen.sites) == (3, False)
    assert set(all_cases(seen.study, seen.sites).sites) == set(seen.sites)
    ((who, what),) = conduct._not_audited(folder)
    assert who == LOST and "took no part" in what
