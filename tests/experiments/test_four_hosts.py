"""The nodes' page walked on four machines: three hospitals and a coordinator, by real commands and mutual TLS.

A drill of minutes, which runs where WARDROUND_DRILLS is set. What only reads is typed in one hospital; `python
docs/walk_nodes.py` types it in all. Afterwards the same machines run the study without secret draws, where engine
`processes` gives the same bits.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from client.ledger import Ledger
from common.study.study import parse
from experiments.benchmarks._namespaces import reason_against
from experiments.engines._quiet import read_outcome, run_quietly

pytestmark = pytest.mark.timeout(3600)  # a minute on two idle cores, and much more on busy ones
ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "heart-disease-4centre"
DRILLS = "WARDROUND_DRILLS"
PROMISE = re.compile(r"^privacy = .*$", re.MULTILINE)


def walk() -> ModuleType:
    spec = spec_from_file_location("walk_nodes", ROOT / "docs" / "walk_nodes.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Walked:
    """What was typed, what the page leaves to root, and what is there afterwards."""

    def __init__(self, page: str, world: Any, folder: Path) -> None:
        self.page, self.world, self.folder = page, world, folder
        self.said: list[str] = []
        world.say = self.said.append
        self.left_out = world.follow(page)
        self.ledgers = {name: charges(host.own) for name, host in world.hospitals.items()}
        self.with_noise = self.job("heart")

    def job(self, name: str) -> Path:
        """The run folder of a study, at the coordinator."""
        (folder,) = (self.world.coordinator.own / "runs" / name).iterdir()
        return Path(folder)


def charges(own: Path) -> list[str]:
    return [entry.kind for entry in Ledger(own).contents().entries]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    if not os.environ.get(DRILLS):
        pytest.skip(f"a drill of minutes: set {DRILLS}=1, or run python docs/walk_nodes.py")
    reason = reason_against()
    if reason:
        pytest.skip(f"four machines need network namespaces: {reason}")
    module, folder = walk(), tmp_path_factory.mktemp("walk")
    page = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    with module.built(folder, REAL if REAL.is_dir() else None) as world:
        world.once = module.READING
        yield Walked(page, world, folder)


def test_every_line_of_the_page_was_typed_or_is_roots(walked: Walked) -> None:
    typed = re.findall(r"^(?:coordinator|hospital)\$ (.+)$", walked.page, re.MULTILINE)
    assert len(typed) > 20
    said = "\n".join(walked.said)
    for line in typed:
        assert f"$ {line}" in said, line
    assert walked.left_out and all("# " in line and "$ " not in line[:12] for line in walked.left_out)


def test_the_private_study_came_to_its_end_and_was_charged_once_a_round(walked: Walked) -> None:
    outcome = read_outcome(walked.with_noise)
    assert outcome.about["state"] == "completed"
    assert [record["contributed"] for record in outcome.rounds] == [["Aachen", "Bonn", "Graz"]] * 2
    assert walked.ledgers == {name: ["charge"] * 2 for name in walked.world.hospitals}


def test_every_hospital_holds_the_signed_model_and_one_used_it(walked: Walked) -> None:
    model = read_outcome(walked.with_noise).about["model_sha256"]
    for host in walked.world.hospitals.values():
        (about,) = host.own.glob("models/*/*/about.json")
        told = json.loads(about.read_text(encoding="utf-8"))
        assert model in told.values() and told["signed_by"], told
    assert (walked.world.hospitals["Aachen"].home / "answers" / "predictions.csv").is_file()


def test_one_hospital_came_by_its_proxy_since_there_is_no_other_way(walked: Walked) -> None:
    line = "python3 -c \"import socket; socket.create_connection(('front.example', 8443), 60)\""
    straight = {name: host.type(line).returncode for name, host in walked.world.hospitals.items()}
    assert straight["Graz"] != 0 and straight["Aachen"] == straight["Bonn"] == 0


def test_without_secret_draws_hospitals_give_the_model_of_processes_to_the_bit(
    walked: Walked, tmp_path: Path
) -> None:
    world = walked.world
    (tmp_path / "data").mkdir()
    for name, host in world.hospitals.items():
        (host.own / "policy.toml").unlink()
        table = host.folder / "srv" / "heart" / f"{name}.csv"
        (tmp_path / "data" / table.name).write_bytes(table.read_bytes())
    text = PROMISE.sub('privacy = "none"', (world.coordinator.home / "heart.toml").read_text(encoding="utf-8"))
    for host in (world.coordinator, *world.hospitals.values()):
        (host.home / "summed.toml").write_text(text, encoding="utf-8")
    world.everywhere("wardround approve summed.toml /var/lib/wardround")
    world.at_the_coordinator("wardround submit summed.toml --folder /var/lib/wardround --wait")
    here = run_quietly(parse(text, [f'source.folder="{tmp_path / "data"}"']), tmp_path / "summed")
    there = read_outcome(walked.job("summed"))
    assert here.about["engine"] == "processes"
    assert there.about["model_sha256"] == here.about["model_sha256"]
    assert there.final == here.final


def test_whatever_runs_ends_when_it_is_told_to_and_the_logs_are_whole(walked: Walked) -> None:
    assert set(walked.world.end().values()) == {143}
    assert all("is whole" in said or "as it was" in said for said in logs(walked))


def logs(walked: Walked) -> list[str]:
    return list(walked.world.everywhere("wardround log verify --folder /var/lib/wardround").values())
