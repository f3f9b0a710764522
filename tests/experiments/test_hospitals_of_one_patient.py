"""Hospitals too small to be divided: whole ones are held out and scored together. And what their traffic comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import open_hospital, site_names
from common.learning.parameters import write
from common.study.held_out import part_of
from common.study.study import Study, parse
from common.sums.cohorts import Cohorts
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.wire.decoding import statistics_to_numbers
from experiments.engines._quiet import run_quietly
from experiments.first_look import first_look
from experiments.study_view import study_facts
from experiments.traffic_ahead import Ahead, ahead
from server.checkpoint import load
from server.members import Member
from server.rounds import Rounds
from server.run import Conductor
from server.small_hospitals import told_alone

TEXT = """
title = "One patient each"
rounds = 2
engine = "inline"
task = { name = "classification", network = "logistic" }
training = { epochs = 1, batch_size = 1, learning_rate = 0.1 }
"""
BY_HOSPITAL = "split.unit=hospital"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 hospitals, one patient each."""
    place, rng = tmp_path_factory.mktemp("hospitals"), np.random.default_rng(0)
    for index in range(24):
        ill = np.array([index % 2])
        np.savez(place / f"h{index:02d}.npz", x=(rng.normal(size=(1, 3)) + ill).astype(np.float32), y=ill)
    return place


def study(folder: Path, *overrides: str) -> Study:
    return parse(TEXT, [f'source={{name="npz",folder="{folder}",classes=["well","ill"]}}', *overrides])


def accuracy_by_hand(own: Study, run: Path) -> float:
    """Of the kept model on the patients of the hospitals that are held out for the test."""
    names, parameters = site_names(own), load(run).parameters
    right = []
    for index, site in enumerate(names):
        if part_of(own.split, own.seed, names, site) == "test":
            hospital = open_hospital(own.json, index)
            write(hospital.network, parameters)
            batch = hospital.splits["test"].batch(slice(0, 1))
            right.append(bool(hospital.task.predict(hospital.network, batch.inputs)[0] == batch.targets[0]))
    return sum(right) / len(right)


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_hospitals_of_one_patient_are_scored_together_and_none_alone(
    folder: Path, tmp_path: Path, aggregation: str
) -> None:
    own = study(folder, BY_HOSPITAL, f"aggregation={aggregation}", "split.validation=0.2")
    outcome = run_quietly(own, tmp_path)
    test = outcome.final["test"]
    assert test["pooled"]["accuracy"] == pytest.approx(accuracy_by_hand(own, tmp_path))
    assert all(of_split["sites"] == {} for of_split in outcome.final.values())
    between = [one["evaluation"] for one in outcome.rounds]
    if aggregation == "plain":
        assert all("accuracy" in one["pooled"] and not any(one["sites"].values()) for one in between)
    else:
        assert between == [None, None]
    if aggregation == "plain":
        assert all(one["training"] == {} and one["training_of_all"]["loss"] > 0 for one in outcome.rounds)
    roster = json.loads((tmp_path / "roster.json").read_text())
    assert roster["class_counts"] == [] and not any(one["labels"] for one in roster["sites"])
    assert not any(one["dropped"] for one in outcome.rounds)
    traffic = json.loads((tmp_path / "traffic.json").read_text())["sites"]
    for part in ("train", "validation", "test"):
        alike = [site["site"] for site in roster["sites"] if site["patients"][part]]
        assert len(alike) > 1 and len({traffic[site]["received"] for site in alike}) == 1
    words = "held out and never trained on" if aggregation == "plain" else "added up with the updates"
    assert words in (tmp_path / "report.html").read_text("utf-8")


def test_a_study_that_divides_each_of_them_says_how_they_could_be_scored(folder: Path, tmp_path: Path) -> None:
    own = study(folder, "aggregation=plain", "rounds=1")
    run_quietly(own, tmp_path)
    said = (tmp_path / "problems.jsonl").read_text()
    assert "no hospital has a patient for a test" in said and "split.unit = 'hospital'" in said
    assert any("split.unit = 'hospital'" in fact for fact in first_look(own))


def test_a_check_says_who_trains_and_what_will_be_moved_before_anything_ran(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flwr.supercore.task_identity.TaskIdentity._run_id", None)
    own = study(folder, BY_HOSPITAL, "aggregation=plain")
    looked = first_look(own)
    assert any("come back: a model of 8 parameters" in fact for fact in looked)
    assert not any("split.unit" in fact for fact in looked)
    facts = study_facts(own)
    assert any("18 of 24 hospitals train; 6 never do, and are scored" in fact for fact in facts)
    assert not any("shares of a hospital's persons" in fact for fact in facts)


def member(site: str, persons: int) -> Member:
    sizes = {"train": 0, "validation": 0, "test": persons}
    return Member(site, sizes, sizes, 0, (), None, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("persons", "alone"),
    [
        ([9, 9, 9], "abc"),
        ([1, 1, 1, 1, 1, 9], "f"),
        ([1, 9, 20, 30], "d"),
        ([4, 1, 20], ""),
        ([1, 1, 1], ""),
        ([0, 7, 8], "bc"),
    ],
)
def test_the_rest_of_a_score_that_is_told_is_nobody_or_five_persons_in_three_hospitals(
    folder: Path, persons: list[int], alone: str
) -> None:
    members = {site: member(site, many) for site, many in zip("abcdef", persons, strict=False)}
    found = told_alone(study(folder, BY_HOSPITAL), members, "test", members)
    assert "".join(sorted(found)) == alone
    rest = [many for site, many in zip("abcdef", persons, strict=False) if site not in found and many]
    assert not rest or (sum(rest) >= min(5, sum(persons)) and len(rest) >= 3)


@pytest.mark.parametrize(
    ("answered", "told"), [("abc", True), ("ab", False), ("c", False), ("bde", True), ("de", True)]
)
def test_of_one_or_two_hospitals_of_one_patient_no_score_is_told_though_others_were_lost(
    folder: Path, answered: str, told: bool
) -> None:
    members = {site: member(site, 9 if site in "de" else 1) for site in "abcde"}
    replies = {
        site: Payload(numbers=statistics_to_numbers("test", {"accuracy": Mean.of([1.0])})) for site in answered
    }
    rounds = Rounds(study(folder, BY_HOSPITAL), None, None, members, None, None)  # type: ignore[arg-type]
    found = rounds.scores(replies, "test")
    assert found["pooled"] == ({"accuracy": 1.0} if told else {})
    assert set(found["sites"]) == (set("de") if answered == "de" else set())


def moved(run: Path) -> tuple[int, int]:
    """Bytes sent and received, of all that is not said before the first round."""
    kinds: list[dict[str, Any]] = json.loads((run / "traffic.json").read_text())["kinds"]
    ways = ("to hospital", "to server")
    sent, received = (sum(k["bytes"] for k in kinds if k["direction"] == w and k["leg"] != "hello") for w in ways)
    return sent, received


NETWORK = 'task={name="classification",network={name="mlp",hidden=[200,200]}}'


@pytest.mark.parametrize(
    "overrides",
    [
        ("aggregation=plain", "federation.client_fraction=0.25"),
        ("aggregation=plain", "federation.compression={kind='int8'}", "federation.evaluate_every=0", "rounds=1"),
        ("aggregation=plain", "federation.client_fraction=0.25", "federation.evaluate_fraction=0.25"),
        ("aggregation=secagg", "federation.client_fraction=0.5", "rounds=1"),
        (
            "aggregation={name='secagg',value_bits=4,largest_value=0.1}",
            "federation.client_fraction=0.5",
            "rounds=1",
            "federation.compression={kind='int4'}",
        ),
    ],
)
def test_bytes_that_are_told_beforehand_are_those_that_travel(
    folder: Path, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    own = study(folder, NETWORK, *overrides)
    outcome = run_quietly(own, tmp_path)
    found = ahead(own, Cohorts.of(own, site_names(own)), outcome.about["parameters"])
    assert isinstance(found, Ahead)
    assert (found.sent, found.received) == pytest.approx(moved(tmp_path), rel=0.03)


@pytest.mark.parametrize(
    "overrides",
    [
        ("aggregation=plain", "defence.votes=true", "federation.client_fraction=0.5", "baselines.local=true"),
        ("aggregation=secagg", "defence.votes=true"),
    ],
)
def test_bytes_of_votes_and_of_models_trained_alone_are_told_beforehand_too(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for site in "abcd":
        x, y = rng.normal(size=(12, 3)).astype(np.float32), np.arange(12) % 2
        np.savez(tmp_path / "data" / f"{site}.npz", x=x, y=y)
    own = study(tmp_path / "data", NETWORK, *overrides)
    outcome = run_quietly(own, tmp_path / "run")
    found = ahead(own, Cohorts.of(own, site_names(own)), outcome.about["parameters"])
    assert isinstance(found, Ahead)
    assert (found.sent, found.received) == pytest.approx(moved(tmp_path / "run"), rel=0.03)


@pytest.mark.parametrize(("trained", "room", "told"), [(10, 2, 6.0), (10, 1000, 1.2), (1, 2, 12.0)])
def test_training_seconds_are_spread_over_those_that_trained_at_a_time(
    folder: Path, trained: int, room: int, told: float
) -> None:
    grid = type("Grid", (), {"hospitals_at_once": room})()
    conductor = Conductor(study(folder), "", grid, None, None)  # type: ignore[arg-type]
    conductor.about = {"time": dict.fromkeys(("training", "evaluation", "waiting", "server"), 0.0)}
    rounds = type("Rounds", (), {"busy_seconds": {"training": 12.0, "evaluation": 0.0}, "members": range(1000)})()
    record = {
        "seconds": {"exchange": 20.0, "step": 1.0},
        "contributed": ["h"] * trained,
        "site_seconds": dict.fromkeys(range(trained), 0.0),
    }
    conductor._count_time(rounds, record)
    assert conductor.about["time"]["training"] == told
