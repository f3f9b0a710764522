"""Whoever asks for fingerprints of images wants those of one person, out of exact histograms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.asking.asked import Place, asked_of
from client.asking.part import part_of
from client.hospital import Hospital, open_hospital
from client.policy import read_policy
from common.asking.public import public_of
from common.asking.question import Question
from common.errors import RefusedError
from common.privacy.noise import SystemNoise
from common.study.options import Entry
from common.study.study import parse_json
from tests.client.source_makers import make_nifti

ANALYSIS = {"name": "fingerprint", "axes": 3}
TASK = {"name": "segmentation", "network": {"name": "unet", "channels": 4, "depth": 2}, "patch": [4, 4, 4]}


def opened(root: Path, tested: float) -> Hospital:
    """Six persons, of whom a share is tested."""
    if not (root / "images").exists():
        make_nifti(root)
        (root / "sites.csv").write_text("patient,site\n" + "".join(f"p{index},A\n" for index in range(6)))
    source = {"name": "nifti", "folder": str(root), "table": "sites.csv", "size": 8, "dimensions": 3}
    table = {
        "title": "t",
        "rounds": 1,
        "seed": 1,
        "strategy": "fedavg",
        "aggregation": "plain",
        "task": TASK,
        "source": source,
    }
    table |= {"split": {"validation": 0.0, "test": tested}, "analyses": [ANALYSIS]}
    return open_hospital(parse_json(json.dumps(table)).json, 0)


def cases_told(root: Path, hospital: Hospital, least_cell: int) -> int:
    folder = root / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text(f"[questions]\nleast_cell = {least_cell}\n")
    question = Question.of(Entry("fingerprint", {"axes": 3}))
    analysis = question.build()
    query = next(analysis.ask(public_of(hospital.study, hospital.roster)))
    asked = asked_of(hospital.study, 1, question, query, 1, hospital.roster)
    place = Place(folder, "data", "0" * 32)
    return int(part_of(hospital, analysis, asked, read_policy(folder), place, SystemNoise())["cases"].item())


def test_two_training_parts_that_differ_by_a_person_are_not_both_measured(tmp_path: Path) -> None:
    one, other = opened(tmp_path, 0.34), opened(tmp_path, 0.5)
    assert cases_told(tmp_path, one, 1) == cases_told(tmp_path, one, 1) == len(one.train) == len(other.train) + 1
    with pytest.raises(RefusedError, match="other training cases"):
        cases_told(tmp_path, other, 1)


def test_persons_of_the_training_part_are_counted_and_no_others(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="3 persons are too few"):
        cases_told(tmp_path, opened(tmp_path, 0.5), 4)
