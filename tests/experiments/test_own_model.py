"""Every example of docs/own-model.md runs as it stands there."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client.policy import POLICY_FILE, read_policy
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.engines._quiet import run_quietly

PAGE = (Path(__file__).parents[2] / "docs" / "own-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|toml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = {text.partition("\n")[0].removeprefix("# "): text for _, text in BLOCKS if text.startswith("# ")}
STUDIES = [text for kind, text in BLOCKS if kind == "toml" and not text.startswith("# ")]
FAST = ("rounds=1", "engine=inline", "source.patients=[6]", "source.slices_per_patient=1", "training.steps=1")


@pytest.fixture(autouse=True)
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for number, text in enumerate(STUDIES):
        (tmp_path / f"study-{number}.toml").write_text(text)
    with trusting(ANYTHING):
        yield


@pytest.mark.parametrize("number", range(len(STUDIES)))
def test_a_study_trains(number: int, tmp_path: Path) -> None:
    study = asked_study(f"study-{number}.toml", FAST).study
    outcome = run_quietly(study, tmp_path / "run")
    assert outcome.about["state"] == "completed"
    assert outcome.about["plugins"] == study.plugins != {}


@pytest.mark.usefixtures("few_attacks")
def test_attacks_the_question_and_the_adversary_are_part_of_an_audit(
    tmp_path: Path, wardround: Callable[..., tuple[int, str]]
) -> None:
    settings = ("federation.record_traffic=true", "aggregation=plain", "strategy=fedavg")
    run_quietly(asked_study("study-2.toml", (*FAST, *settings)).study, tmp_path / "RUN")
    commands = [line.split()[3:] for line in PAGE.splitlines() if line.startswith("wardround audit RUN")]
    named = [part for command in commands for part in command]
    code, said = wardround("audit", "RUN", *named, *named, "--seconds", "0.5")
    assert code == 0, said
    found = json.loads((tmp_path / "RUN" / "audit.json").read_text())
    assert [one["name"] for one in found["plugins"]] == ["Loudest", "Restlessness", "Steady", "FormerEmployee"]
    assert not [trial["reason"] for trial in found["trials"] if trial["settings"].get("failed")]
    steady = {trial["observer"] for trial in found["trials"] if trial["kind"] == "Steady" and trial["possible"]}
    assert "FormerEmployee" in steady and found["verdicts"][0]["lights"]["Steady"] == "green"
    page = (tmp_path / "RUN" / "audit.html").read_text()
    assert all(words in page for words in ("Model steady?", "If an employee left?", "Telling rounds apart"))


def test_the_policy_can_be_read_and_the_entry_point_has_a_group_of_ours(tmp_path: Path) -> None:
    policy = read_policy(tmp_path)
    assert POLICY_FILE in FILES and len(policy.trust.digests["my_hospital.networks"]) == 64
    points = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]
    assert list(points) == ["wardround.networks"]
