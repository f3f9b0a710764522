"""Scores of groups of persons in a hospital: columns that sources hand on, and sums equal to the pooled data's."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from client.evaluation import evaluate
from client.sources.bids import Bids
from client.sources.images import Images
from client.sources.table import Table
from client.subgroups import cells_of_persons, subgroup_statistics
from common.data.cases import Cases, concatenate
from common.errors import SourceError
from common.learning.client_work import Training
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.metrics.subgroups import PERSONS, cells_of
from common.study.report_settings import Report
from common.sums.mean import merge

REPORT = Report(("sex: f, m", "age: 0-50, 50-"), least_cell=5)


def cases(seed: int, count: int = 60) -> Cases:
    rng = np.random.default_rng(seed)
    return Cases.of(
        rng.normal(size=(count, 3)).astype(np.float32),
        rng.integers(0, 2, count),
        [f"{seed}-{k}" for k in range(count)],
        ("well", "ill"),
        sex=rng.choice(["f", "m"], count),
        age=rng.uniform(20, 80, count),
    )


def test_sums_of_hospitals_cells_are_the_scores_of_the_pooled_persons() -> None:
    task, parts = Classification(), [cases(1), cases(2)]
    network = new_network(task, parts[0].shape, 0, Training())
    merged = cells_of(merge(subgroup_statistics(task, network, part, REPORT) for part in parts))
    pooled = concatenate(parts)
    women = pooled.take(np.flatnonzero(pooled.array("sex") == "f"))
    scores = evaluate(task, network, women)
    assert len(merged) == 4
    assert merged[0, 0]["accuracy"] == scores["accuracy"]
    assert merged[0, 0][PERSONS].weight == len(women)


def test_a_hospital_tells_nothing_of_a_cell_with_few_of_its_persons_nor_of_its_complement() -> None:
    whole = cases(3)
    few = whole.with_columns(sex=np.array(["m"] * 3 + ["f"] * 57))
    task = Classification()
    network = new_network(task, whole.shape, 0, Training())
    told = cells_of(subgroup_statistics(task, network, few, REPORT))
    assert {column for column, _ in told} == {1}


def test_a_person_whose_cases_differ_is_in_no_cell() -> None:
    whole = cases(4, 2).with_columns(patients=np.array(["p", "p"]), sex=np.array(["f", "m"]))
    persons, of_case = np.unique(whole.patients, return_inverse=True)
    assert not cells_of_persons(REPORT.groupings[0], whole, persons, of_case).any()


def test_cases_without_the_column_are_refused_by_name() -> None:
    task, whole = Classification(), cases(5)
    network = new_network(task, whole.shape, 0, Training())
    with pytest.raises(SourceError, match="'scanner'"):
        subgroup_statistics(task, network, whole, Report(("scanner: a, b",)))


def test_a_table_hands_columns_on_and_learns_from_the_same_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{k},{'f' if k % 2 else 'm'},{k % 2}\n" for k in range(8))
    (tmp_path / "one.csv").write_text("dose,sex,label\n" + rows, encoding="utf-8")
    plain, kept = (Table(folder=str(tmp_path), ignore=("sex",), keep=keep) for keep in ((), ("sex", "dose")))
    one, other = (source.cases("one", 0) for source in (plain, kept))
    assert np.array_equal(one.inputs, other.inputs)
    assert one.patients.tolist() == other.patients.tolist()
    assert other.array("sex").tolist() == ["m", "f"] * 4
    assert other.array("dose").tolist() == [str(k) for k in range(8)]


def test_images_hand_on_columns_of_their_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / f"{name}.png")
    text = "path,label,person,site,scanner\na.png,x,1,h,Avanto\nb.png,y,2,h,Prisma\n"
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    source = Images(folder=str(tmp_path), table="cases.csv", label="label", site="site", size=8, keep=("scanner",))
    assert source.cases("h", 0).array("scanner").tolist() == ["Avanto", "Prisma"]


def test_participants_of_bids_hand_on_what_their_table_says(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        folder = tmp_path / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        for name in ("T1w", "dseg"):
            image = nib.Nifti1Image(np.ones((8, 8, 8), np.int16), np.eye(4))
            nib.save(image, folder / f"sub-{subject}_{name}.nii.gz")
    table = "participant_id\tcentre\tsex\nsub-01\th\tf\nsub-02\th\tm\n"
    (tmp_path / "participants.tsv").write_text(table, encoding="utf-8")
    source = Bids(folder=str(tmp_path), site_column="centre", size=8, slices_per_patient=2, keep=("sex",))
    assert source.cases("h", 0).array("sex").tolist() == ["f", "f", "m", "m"]
