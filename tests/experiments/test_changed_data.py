"""A run that goes on with other data than it began with: refused, or accepted and written down; never unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from client import app as client_app
from client.hospital import close_all, open_hospital
from common.errors import DataChangedError, FileError, RoundError, StudyError
from common.files.json_files import read_table
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.train_requests import ACCEPTS_CHANGED_DATA
from experiments.engines._quiet import run_quietly
from experiments.running.run import run_study
from server.pins import Pins
from server.run_folder import RunFolder

SITES = {"va": 30, "cleveland": 20, "hungarian": 24, "switzerland": 16}
STUDY = """
title = "Changing"
rounds = 1
seed = 3
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
source = {{ name = "heart", folder = "{folder}" }}
task = {{ name = "classification", network = "logistic" }}
training = {{ batch_size = 8, learning_rate = 0.1 }}
split = {{ validation = 0.2, test = 0.4 }}
federation = {{ start_timeout_s = 600, round_timeout_s = 600 }}
"""
RUN = "5" * 32


def write_site(folder: Path, site: str, count: int) -> None:
    rng = np.random.default_rng(count)
    lines = []
    for person in range(count):
        values = [40 + person, person % 2, 1 + person % 4, 120, 200, 0, person % 3, 150, 0, 1.0, 2, 0, 3, person % 2]
        values[9] = round(float(rng.normal(1, 0.5)), 3)
        lines.append(",".join(f"{value:.3f}" for value in values))
    (folder / f"processed.{site}.data").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir()
    for site, count in SITES.items():
        write_site(place, site, count)
    return place


@pytest.fixture
def study(folder: Path) -> Callable[..., Study]:
    return lambda *overrides: parse(STUDY.format(folder=folder), overrides)


def people_leave(folder: Path, site: str = "va", gone: slice = slice(3, 6)) -> None:
    path = folder / f"processed.{site}.data"
    lines = path.read_text().splitlines()
    del lines[gone]
    path.write_text("\n".join(lines) + "\n")
    close_all()


def of_va(study: Study) -> dict[str, set[str]]:
    index = sorted(SITES).index("va")
    return {name: set(cases.patients.tolist()) for name, cases in open_hospital(study.json, index).splits.items()}


def test_a_resumed_run_whose_patients_left_is_refused_by_name_and_nothing_of_it_is_overwritten(
    study: Callable[..., Study], folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    run_quietly(study(), place)
    kept = {name: (place / name).read_bytes() for name in ("roster.json", "run.json", "rounds.jsonl")}
    people_leave(folder)
    with pytest.raises(RoundError, match=r"^va's data changed since round 1"):
        run_quietly(study("rounds=2"), place, resume=True)
    assert {name: (place / name).read_bytes() for name in kept} == kept
    about = read_table(place, "about.json")
    assert (about["state"], about["rounds_done"]) == ("stopped", 1)
    assert "va's data changed since round 1" in about["reason"]


def test_a_change_that_is_accepted_is_in_the_report_and_nobody_who_trained_is_ever_scored(
    study: Callable[..., Study], folder: Path, tmp_path: Path, wardround: Callable[..., tuple[int, str]]
) -> None:
    place = tmp_path / "run"
    run_study(study("rounds=1"), "changing", place)
    before = read_table(place, "roster.json")
    people_leave(folder)
    (place / "study.toml").write_text((place / "study.toml").read_text().replace("rounds = 1", "rounds = 2"))
    assert wardround("resume", str(place))[0] == 1
    refused = read_table(place, "summary.json")["problems"]
    assert refused == ["va's data changed since round 1; the run did not go on."]
    code, said = wardround("resume", str(place), "--accept-changed-data")
    assert code == 0, said
    summary = read_table(place, "summary.json")
    sentence = "va's data changed since round 1. It was accepted: nobody who was there has moved."
    assert summary["problems"] == [sentence]
    assert sentence in (place / "report.html").read_text().replace("&#39;", "'").replace("&#x27;", "'")
    after = read_table(place, "roster.json")
    lost = {
        one["site"]: sum(one["patients"].values()) - sum(other["patients"].values())
        for one, other in zip(before["sites"], after["sites"], strict=True)
    }
    assert lost == {"cleveland": 0, "hungarian": 0, "switzerland": 0, "va": 3}


@pytest.mark.parametrize("assignment", ["exact", "independent"])
def test_whoever_has_a_place_keeps_it_when_others_leave_come_and_come_back(
    study: Callable[..., Study], folder: Path, tmp_path: Path, assignment: str
) -> None:
    own = study(f"split.assignment='{assignment}'")
    said = Said(own, tmp_path / "va")
    before, token = of_va(own), said.hello()
    whole = (folder / "processed.va.data").read_text()
    people_leave(folder)
    assert said.hello() != token
    accepted = said.hello(accept=True)
    assert accepted not in ("", token)
    assert said.hello() == accepted
    held = {name: set(cases.patients.tolist()) for name, cases in said.opened().splits.items()}
    assert sum(map(len, held.values())) == SITES["va"] - 3
    assert all(held[name] <= before[name] for name in held)
    (folder / "processed.va.data").write_text(whole)
    close_all()
    said.hello(accept=True)
    assert {name: set(cases.patients.tolist()) for name, cases in said.opened().splits.items()} == before


def test_a_hospital_that_starts_again_with_other_data_in_the_middle_of_a_run_answers_no_round(
    study: Callable[..., Study], folder: Path, tmp_path: Path
) -> None:
    said = Said(study(), tmp_path / "va")
    said.hello()
    said.open_for_a_round()
    people_leave(folder)
    with pytest.raises(DataChangedError):
        said.open_for_a_round()
    said.hello(accept=True)
    said.open_for_a_round()


def test_a_changed_label_is_a_changed_hospital(study: Callable[..., Study], folder: Path, tmp_path: Path) -> None:
    said = Said(study(), tmp_path / "va")
    token = said.hello()
    path = folder / "processed.va.data"
    lines = path.read_text().splitlines()
    lines[4] = lines[4][:-5] + ("1.000" if lines[4].endswith("0.000") else "0.000")
    path.write_text("\n".join(lines) + "\n")
    close_all()
    assert said.hello() != token


def test_the_token_tells_nothing_and_is_another_in_every_run(study: Callable[..., Study], tmp_path: Path) -> None:
    tokens = {Said(study(), tmp_path / str(number), f"{number:032x}").hello() for number in range(3)}
    tokens |= {Said(study(), tmp_path / "other").hello()}
    assert len(tokens) == 4
    text = next((tmp_path / "other" / "memory").rglob("split.json")).read_text()
    assert not any(person in text for people in of_va(study()).values() for person in people)
    assert next((tmp_path / "other" / "memory").rglob("split.json")).stat().st_mode & 0o077 == 0


def test_a_hospital_without_a_folder_notices_and_does_not_accept(
    study: Callable[..., Study], folder: Path, tmp_path: Path
) -> None:
    said = Said(study(), None)
    token = said.hello()
    again = Said(study(), None)
    assert again.hello() == token
    people_leave(folder)
    assert again.hello() != token
    with pytest.raises(Exception, match="does not know who trained before"):
        again.hello(accept=True)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.learning_rate=0.5", "training.learning_rate was 0.1 and is 0.5"),
        ("seed=4", "seed was 3 and is 4"),
        ("strategy=fedprox", "strategy.name was 'fedavg' and is 'fedprox'"),
        ("aggregation=additive", "aggregation.name was 'plain' and is 'additive'"),
        ("split.test=0.3", "split.test was 0.4 and is 0.3"),
    ],
)
def test_another_study_is_not_the_same_run(
    study: Callable[..., Study], tmp_path: Path, override: str, words: str
) -> None:
    folder = RunFolder(tmp_path)
    Pins.begun(folder, study(), {})
    with pytest.raises(StudyError, match=words):
        Pins.resumed(folder, study(override), {}, 1)


def test_more_rounds_longer_waits_and_another_engine_are_the_same_run(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    begun = Pins.begun(folder, study(), {"torch": "2.0"})
    longer = study("rounds=9", "federation.round_timeout_s=9", "engine=processes", "source.folder='elsewhere'")
    resumed = Pins.resumed(folder, longer, {"torch": "3.0"}, 4)
    assert resumed.run == begun.run
    assert resumed.changes == ["torch 3.0 took the place of torch 2.0 after round 4."]


def test_a_damaged_record_of_how_the_run_began_is_said(study: Callable[..., Study], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"study": []}')
    with pytest.raises(FileError, match="does not say what the run began with"):
        Pins.resumed(RunFolder(tmp_path), study(), {}, 1)


class Said:
    """One hospital's node, asked as the coordinator asks."""

    def __init__(self, study: Study, folder: Path | None, run: str = RUN) -> None:
        config = {"simulated": True, "site-index": sorted(SITES).index("va")}
        own = {} if folder is None else {"folder": str(folder)}
        self.study, self.run, self.folder = study, run, folder
        self.context = Context(1, 1, config | own, RecordDict(), {})

    def hello(self, accept: bool = False) -> str:
        return str(client_app._held_hospital(self.context, self._request(accept), self.run, True)[1])

    def open_for_a_round(self) -> None:
        client_app._held_hospital(self.context, self._request(False), self.run, False)

    def opened(self) -> client_app.Hospital:
        return client_app._held_hospital(self.context, self._request(False), self.run, False)[0]

    def _request(self, accept: bool) -> Payload:
        return Payload(None, {ACCEPTS_CHANGED_DATA: 1} if accept else {}, {"study": self.study.json, "run": self.run})
