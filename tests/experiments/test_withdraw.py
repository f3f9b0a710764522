"""A person withdraws while a study runs or rests: out from the next round on, and nobody else's run changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import update_cache
from client.hospital import close_all, open_hospital
from client.ledger import Ledger
from client.split_record import runs_with
from client.withdrawn import FILE, consent_again, withdraw, withdrawn
from common.errors import RoundError
from common.files.json_files import read_table
from common.study.study import Study, parse
from common.sums.mean import Mean
from common.sums.update import Update
from experiments.engines._quiet import run_quietly
from experiments.running.run import run_study
from server.app import progress
from server.checkpoint import load
from server.progress import Event, RoundFinished

SITES = ("east", "north", "west")
STUDY = """
title = "Leaving"
rounds = 2
seed = 3
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
source = {{ name = "table", folder = "{folder}", label = "y", classes = ["0", "1"], decimal = "." }}
task = {{ name = "classification", network = "logistic" }}
training = {{ batch_size = 4, learning_rate = 0.1 }}
split = {{ validation = 0.2, test = 0.2 }}
federation = {{ start_timeout_s = 600, round_timeout_s = 600 }}
"""
PRIVATE = ["privacy.name=dpsgd", "privacy.noise_multiplier=1.0", "privacy.delta=1e-5", "training.batch_size=4"]
PERSONS = 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place, rng = tmp_path / "data", np.random.default_rng(1)
    place.mkdir()
    for site in SITES:
        rows = [f"{site[0]}{person},{rng.normal():.4f},{rng.normal():.4f},{person % 2}" for person in range(PERSONS)]
        twice = f"{site[0]}1,{rng.normal():.4f},{rng.normal():.4f},1"
        (place / f"{site}.csv").write_text("\n".join(["person,a,b,y", *rows, twice]) + "\n")
    return place


@pytest.fixture
def study(folder: Path) -> Callable[..., Study]:
    return lambda *overrides: parse(STUDY.format(folder=folder), overrides)


def trains(study: Study) -> list[str]:
    """Persons of the north who train."""
    return sorted(set(open_hospital(study.json, SITES.index("north")).train.patients.tolist()))


def rows_go(folder: Path, person: str) -> None:
    path = folder / "north.csv"
    path.write_text("".join(row for row in path.read_text().splitlines(True) if not row.startswith(f"{person},")))
    close_all()


def north(run: Path) -> Path:
    return run / "hospitals" / "north"


@contextmanager
def leaving(run: Path, after: int, persons: list[str]) -> Iterator[None]:
    """These withdraw at the north when that round has finished, while the nodes run."""

    def leave(event: Event) -> None:
        if isinstance(event, RoundFinished) and event.record["round"] == after:
            for person in persons:
                withdraw(north(run), person, date(2031, 2, 3))

    progress.subscribe(leave)
    try:
        yield
    finally:
        progress.unsubscribe(leave)


def run_records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]


def test_from_the_next_round_on_the_model_is_that_of_a_run_that_lost_the_person_there(
    study: Callable[..., Study], folder: Path, tmp_path: Path
) -> None:
    leaves, lost = tmp_path / "leaves", tmp_path / "lost"
    for place in (leaves, lost):
        run_quietly(study(), place)
    gone = trains(study())[0]
    withdraw(north(leaves), gone, date(2031, 2, 3))
    run_quietly(study("rounds=4"), leaves, resume=True)
    assert read_table(leaves, "about.json")["changes"] == [
        "1 person withdrew at north after round 2: nothing of theirs is in later rounds. What models of round 2 and "
        "before learned of them stays in those and in whatever was trained on from them."
    ]
    stays = load(leaves).parameters
    rows_go(folder, gone)
    with pytest.raises(RoundError, match="north's data changed"):
        run_quietly(study("rounds=4"), lost, resume=True)
    run_quietly(study("rounds=4"), lost, resume=True, accepts=True)
    assert load(lost).parameters.tobytes() == stays.tobytes()
    run_quietly(study("rounds=5"), leaves, resume=True)
    assert len(read_table(leaves, "about.json")["changes"]) == 1, "deleting the original files is no further change"


def test_a_running_node_notices_between_two_rounds(study: Callable[..., Study], tmp_path: Path) -> None:
    place, own = tmp_path / "run", study("rounds=4")
    gone = trains(own)[:2]
    with leaving(place, 2, gone):
        run_quietly(own, place)
    rested = tmp_path / "rested"
    run_quietly(study(), rested)
    for person in gone:
        withdraw(north(rested), person, date(2031, 2, 3))
    run_quietly(own, rested, resume=True)
    assert load(place).parameters.tobytes() == load(rested).parameters.tobytes()
    assert read_table(place, "about.json")["changes"] == read_table(rested, "about.json")["changes"]
    assert read_table(place, "about.json")["changes"][0].startswith("2 persons withdrew at north after round 2:")


def test_where_privacy_is_promised_nothing_tells_of_it_and_noise_and_ledger_stay(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    place, own = tmp_path / "run", study(*PRIVATE, "privacy.unit=patient")
    run_quietly(own, place)
    before, ledger = read_table(place, "roster.json"), Ledger(north(place)).contents()
    gone = trains(own)[0]
    withdraw(north(place), gone, date(2031, 2, 3))
    run_quietly(study(*PRIVATE, "privacy.unit=patient", "rounds=4"), place, resume=True)
    after = Ledger(north(place)).contents()
    assert read_table(place, "roster.json") == before
    assert not read_table(place, "about.json")["changes"]
    assert after.entries[: len(ledger.entries)] == ledger.entries
    assert {entry.releases for entry in after.entries} == {ledger.entries[0].releases}
    charged = [len(after.sets[entry.patients]) for entry in after.entries]
    assert charged[2:] == [charged[0] - 1] * 2 and charged[:2] == [charged[0]] * 2
    assert "withdrew" not in (place / "rounds.jsonl").read_text() + (place / "run.json").read_text()


def test_where_nobody_is_left_to_train_the_hospital_says_so_and_is_in_no_sum(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    place, two = tmp_path / "run", ("federation.least_in_sum=2", "federation.hospitals_at_start=2")
    with leaving(place, 1, trains(study())):
        run_quietly(study(*two), place)
    assert [record["contributed"] for record in run_records(place)] == [list(SITES), ["east", "west"]]
    assert "north has nobody left to train on" in (north(place) / "incidents.log").read_text()
    run_quietly(study(*two, "rounds=3"), place, resume=True)
    assert run_records(place)[-1]["contributed"] == ["east", "west"]
    assert "north has no training cases" in (place / "problems.jsonl").read_text()


def test_noise_hides_that_nobody_is_left(study: Callable[..., Study], tmp_path: Path) -> None:
    place, own = tmp_path / "run", study(*PRIVATE, "privacy.unit=patient")
    with leaving(place, 1, trains(own)):
        run_quietly(own, place)
    assert [record["contributed"] for record in run_records(place)] == [list(SITES)] * 2
    assert [entry.round for entry in Ledger(north(place)).contents().entries] == [1]


def test_who_consents_again_has_the_same_place_again(study: Callable[..., Study], tmp_path: Path) -> None:
    leaves, stays = tmp_path / "leaves", tmp_path / "stays"
    for place in (leaves, stays):
        run_quietly(study(), place)
    withdraw(north(leaves), trains(study())[0], date(2031, 2, 3))
    consent_again(north(leaves), trains(study())[0], date(2031, 2, 4))
    for place in (leaves, stays):
        run_quietly(study("rounds=3"), place, resume=True)
    assert load(leaves).parameters.tobytes() == load(stays).parameters.tobytes()


def test_the_command_writes_removes_and_says_what_stays(
    study: Callable[..., Study],
    tmp_path: Path,
    wardround: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, own = tmp_path / "run", study()
    run_study(own, "leaving", place)
    here, gone = north(place), trains(own)[0]
    update_cache.keep(here, "a" * 64, "b" * 64, Update((np.zeros(2, np.float32),), 1.0, {"loss": Mean(1, 1)}), 1)
    copies = here / "prepared"
    copies.mkdir()
    for name in (f"{'a' * 32}-{'b' * 32}.json", f"{'a' * 32}-{'b' * 32}.inputs.bin", "mine.json"):
        (copies / name).write_text("{}")
    assert runs_with(here, gone) == 1
    code, said = wardround("withdraw", gone.upper(), "--folder", str(here))
    assert code == 0, said
    assert withdrawn(here) == {gone} and (here / FILE).stat().st_mode & 0o077 == 0
    assert [path.name for path in copies.iterdir()] == ["mine.json"]
    assert not list((here / "last-private-updates").iterdir())
    for words in (
        "from the next round on",
        "learned of this person stays",
        "2 files",
        "1 updates",
        "Other hospitals",
    ):
        assert words in said
    assert wardround("withdraw", "--list", "--folder", str(here))[1].startswith(f"{gone}: withdrew on 20")
    code, said = wardround("withdraw", gone, "--folder", str(here), "--again-consented")
    assert code == 0 and withdrawn(here) == frozenset()


def test_a_name_that_nobody_has_is_not_written_down_unless_it_is_asked_for(
    study: Callable[..., Study], tmp_path: Path, wardround: Callable[..., tuple[int, str]], folder: Path
) -> None:
    place = tmp_path / "run"
    run_study(study(), "leaving", place)
    here = north(place)
    assert "did you mean 'n3'?" in " ".join(wardround("withdraw", "n03", "--folder", str(here))[1].split())
    assert not (here / FILE).exists()
    assert wardround("withdraw", "n03", "--folder", str(here), "--anyway")[0] == 0
    assert withdrawn(here) == {"n03"}
    for wrong, words in ((place, "each hospital withdraws by itself"), (folder, "nothing of a hospital's")):
        code, said = wardround("withdraw", "n3", "--folder", str(wrong))
        assert code == 1 and words in " ".join(said.split())
    assert wardround("withdraw", "--folder", str(here))[0] == 1


def test_a_hospitals_node_is_told_of_a_name_by_its_own_data(
    study: Callable[..., Study], tmp_path: Path, wardround: Callable[..., tuple[int, str]], folder: Path
) -> None:
    here, text = tmp_path / "node", tmp_path / "study.toml"
    here.mkdir()
    (here / "approved-studies.txt").write_text("")
    text.write_text(replace(study(), title="Leaving").text)
    data = ["--study", str(text), "--data-folder", str(folder)]
    assert "--study" in wardround("withdraw", "n3", "--folder", str(here))[1]
    assert "did you mean 'n3'?" in " ".join(wardround("withdraw", "n003", "--folder", str(here), *data)[1].split())
    assert wardround("withdraw", "N3", "--folder", str(here), *data)[0] == 0
    assert withdrawn(here) == {"n3"}
