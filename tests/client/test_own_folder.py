"""A hospital's own folder is its own, whole, under the name that its node's configuration gives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from rich.console import Console

from client.app import _approved_hospital
from client.approved_studies import APPROVED, list_study
from client.handlers import RequestContext, hello
from client.hospital import Hospital, open_hospital, site_names
from client.protocol_context import sources
from common.errors import HospitalError, SourceError, StudyError
from common.study.study import Study, parse
from common.sums.exchange import Payload
from experiments.approving.agreement import approve_study

TEXT = """
title = "Tiny"
rounds = 1
seed = 1
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
task = { name = "classification", network = { name = "mlp", hidden = [4] } }
"""
DIVIDED = 'partition = { name = "iid", hospitals = 3 }\n'
ROSTER = (
    "[federation]\nroster = [{ name = 'Bonn', key = '" + "0" * 64 + "' }, { name = 'Ulm', key = '" + "1" * 64 + "' }]"
)


def folder_with_cases(place: Path, count: int) -> Path:
    place.mkdir()
    rng = np.random.default_rng(count)
    arrays = {}
    for part, cases in {"train": count - 2, "val": 1, "test": 1}.items():
        arrays[f"{part}_images"] = rng.integers(0, 255, (cases, 2, 2), dtype=np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 2, (cases, 1), dtype=np.uint8)
    np.savez(place / "own.npz", **arrays)
    return place


def deployed(study: Study, folder: Path, **config: str | int) -> Hospital:
    """As a node opens it, with its folder of data and its list of studies in one place."""
    list_study(study, folder)
    own = {"folder": str(folder), "data-folder": str(folder), **config}
    return _approved_hospital(study.json, Context(1, 1, own, RecordDict(), {}))


def persons_said(hospital: Hospital) -> int:
    context = Context(1, 1, {"simulated": True}, RecordDict(), {})
    kept = RequestContext({}, lambda: pytest.fail("no protocol"), sources(hospital, context, 0))
    numbers = hello(hospital, Payload(), kept).numbers
    return sum(int(value) for key, value in numbers.items() if key.startswith("patients/"))  # type: ignore[arg-type]


def test_three_hospitals_use_all_of_their_own_patients_though_the_study_divides_a_pool(tmp_path: Path) -> None:
    study = parse(TEXT + DIVIDED)
    for index, count in enumerate((12, 9, 7)):
        folder = folder_with_cases(tmp_path / f"hospital-{index}", count)
        assert persons_said(deployed(study, folder, **{"site-index": index})) == count


def test_a_node_says_its_own_name(tmp_path: Path) -> None:
    folder = folder_with_cases(tmp_path / "own", 8)
    hospital = deployed(parse(TEXT + DIVIDED + ROSTER), folder, site="Ulm")
    assert (hospital.site, hospital.roster) == ("Ulm", ("Bonn", "Ulm"))


def test_a_number_counts_the_roster_of_the_study_and_not_what_one_folder_names(tmp_path: Path) -> None:
    folder = folder_with_cases(tmp_path / "own", 8)
    assert deployed(parse(TEXT + ROSTER), folder, **{"site-index": 1}).site == "Ulm"


def test_a_name_that_is_not_in_the_roster_is_refused(tmp_path: Path) -> None:
    folder = folder_with_cases(tmp_path / "own", 8)
    with pytest.raises(StudyError, match="'Trier' is not in the study's roster"):
        deployed(parse(TEXT + ROSTER), folder, site="Trier")


def test_a_study_without_a_division_runs_on_own_folders_only() -> None:
    study = parse(TEXT + ROSTER)
    with pytest.raises(StudyError, match="in hospitals only, each on a folder of its own"):
        site_names(study)


def test_a_pool_has_no_hospital_of_another_name(tmp_path: Path) -> None:
    folder = folder_with_cases(tmp_path / "pool", 9)
    study = parse(TEXT + DIVIDED, [f'source.folder="{folder}"'])
    assert open_hospital(study.json, None, site="hospital-2").site == "hospital-2"
    with pytest.raises(SourceError, match="name no hospital 'Ulm'; they name hospital-0, hospital-1, hospital-2"):
        open_hospital(study.json, None, site="Ulm")


def test_who_approves_is_told_that_nothing_is_divided(tmp_path: Path) -> None:
    console = Console(record=True, width=400)
    approve_study(TEXT + DIVIDED, (), tmp_path, console, None)
    assert "[partition] divides a pool in simulation only" in console.export_text()


def test_a_folder_that_is_not_there_is_not_made_by_an_approval(tmp_path: Path) -> None:
    with pytest.raises(HospitalError, match="there is no folder"):
        approve_study(TEXT + DIVIDED, (), tmp_path / "hopsital", Console(quiet=True), None)
    assert not (tmp_path / "hopsital").exists()


def test_a_study_that_is_not_approved_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        approve_study(TEXT.replace('privacy = "none"\n', "") + DIVIDED, (), tmp_path, Console(quiet=True), None)
    assert not (tmp_path / APPROVED).exists()
