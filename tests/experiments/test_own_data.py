"""Every study of docs/own-data.md runs as it stands there, on small data in the form of hospitals' exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from client.splitting import split
from common.study.catalogue import SOURCES
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from experiments.benchmarks._first_result_document import (
    Documented,
    documented_commands,
    documented_studies,
    own_data_page,
)
from experiments.benchmarks._first_result_words import what_went_wrong
from experiments.benchmarks.first_result import MOST_COMMANDS, MOST_LINES, STORIES
from experiments.commands._study_text import asked_study
from experiments.running.run import run_study

STUDIES = documented_studies(own_data_page())
PERSONS, SIDE = 3, 16
UNET = ['task.network={name="unet",channels=2,depth=2}']
SMALL = {
    "images": ["source.size=16", *UNET],
    "nifti": ["source.size=16", "source.slices_per_patient=2", *UNET],
    "bids": ["source.size=16", "source.slices_per_patient=2", *UNET],
    "dicom": ["source.size=16", "source.slices_per_patient=2", *UNET],
}


def make_npz(folder: Path, persons: int, side: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for site in ("Gent", "Turku"):
        patients = np.repeat([f"{site} {person}" for person in range(persons)], 2)
        labels = np.arange(2 * persons) % 2
        images = rng.integers(0, 256, (2 * persons, side, side)).astype(np.float32)
        np.savez(folder / f"{site}.npz", x=images, y=labels, patient=patients)


ROWS = """
from pathlib import Path
import torch

class Rows:
    def __init__(self, folder):
        lines = [line.split(",") for line in (Path(folder) / "rows.csv").read_text().split()]
        self.persons, self.hospital = [line[0] for line in lines], [line[1] for line in lines]
        self.items = [(torch.tensor([float(line[2])]), int(line[3])) for line in lines]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]
"""


def make_torch(folder: Path, persons: int, side: int) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "rows.py").write_text(ROWS)
    rows = [f"p{index // 2},{'ABC'[index // 2 % 3]},{index % 5},{index % 2}" for index in range(6 * persons)]
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")


MAKERS: dict[str, Callable[[Path, int, int], None]] = {
    **{story.source: story.make for story in STORIES},
    "npz": make_npz,
    "torch": make_torch,
}


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


@pytest.fixture(params=STUDIES)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def written(source: str, folder: Path) -> Path:
    """The study as its user writes it, beside the data."""
    MAKERS[source](folder / STUDIES[source].folder, PERSONS, SIDE)
    (folder / "study.toml").write_text(STUDIES[source].text)
    return folder / "study.toml"


def quick(source: str, folder: Path) -> Study:
    fast = ["rounds=1", "engine=inline", "training.steps=1", "training.batch_size=2", *SMALL.get(source, ())]
    return asked_study(str(written(source, folder)), fast).study


def test_the_page_has_a_study_of_each_source_that_reads_what_a_hospital_exports() -> None:
    assert set(STUDIES) == set(MAKERS) <= set(SOURCES.names())


def test_a_user_writes_fifteen_lines_and_three_commands_at_most(source: str) -> None:
    assert 0 < STUDIES[source].lines <= MOST_LINES
    assert 0 < len(documented_commands(own_data_page())) <= MOST_COMMANDS


def test_the_study_trains_one_round_with_every_hospital_case_and_person(source: str, tmp_path: Path) -> None:
    study = quick(source, tmp_path)
    run_study(study, "study", tmp_path / "runs" / "study" / "1")
    wrong = what_went_wrong(tmp_path / "runs", PERSONS)
    assert [one for one in wrong.split("; ") if one and "cut away" not in one and "count as missed" not in one] == []


@pytest.mark.parametrize("source", ["bids", "images", "table"])
def test_what_one_person_has_several_of_is_in_one_split(source: str, tmp_path: Path) -> None:
    study = quick(source, tmp_path)
    built = SOURCES.build(study.source)
    for site in built.sites():
        cases = built.cases(site, study.seed)
        assert len(set(cases.patients)) == PERSONS
        parts = [set(part.patients) for part in split(cases, study.split, study.seed).values()]
        assert sum(map(len, parts)) == PERSONS


def test_a_case_that_is_lost_is_told_and_a_session_taken_for_a_person(tmp_path: Path) -> None:
    """Two planted faults: what the benchmark says of a run that completed all the same."""
    study = quick("nifti", tmp_path)
    (tmp_path / "volumes" / "images" / "case_001.nii.gz").write_bytes(b"broken")
    run_study(study, "study", tmp_path / "runs" / "study" / "1")
    wrong = what_went_wrong(tmp_path / "runs", PERSONS)
    assert "Bergen: 1 cases could not be used" in wrong
    assert "Bergen: 2 persons in its splits, and it has 3" in wrong


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert what_went_wrong(tmp_path / "runs", 1) == "there are 0 runs in runs, and one was begun"


def test_lines_are_those_with_something_in_them() -> None:
    assert Documented('title = "a"\n\n[source]\n', "x").lines == 2
