"""What is promised to a person holds for all of a person's scans, wherever it is counted, drawn or asked for."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from client.hospital import Hospital, open_hospital, site_names
from client.private_training import PrivateTrainer
from common.study.catalogue import PARTITIONS
from common.study.study import Study, parse
from experiments.evidence.ground_truth import Truth, others_than
from experiments.evidence.membership_samples import sampled

PRIVATE = 'privacy={name="dpsgd",epsilon=2.0,delta=1e-3}'
TEXT = """
title = "Balls"
rounds = 2
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
training = { steps = 1, batch_size = 4 }
split = { validation = 0.1, test = 0.4 }

[source]
name = "nifti"
classes = ["background", "ball"]
size = 6
slices_per_patient = 2

[task]
name = "segmentation"
network = { name = "unet", channels = 2, depth = 1 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten persons with two sessions each, half of them at either hospital; sub-09 has one at both."""
    place = tmp_path_factory.mktemp("balls")
    rng = np.random.default_rng(0)
    lines = ["patient,site"]
    for person in range(10):
        for session in (1, 2):
            name = f"sub-{person:02}_ses-{session}"
            for kind, values in (("images", rng.normal(size=(6, 6, 6))), ("labels", rng.random((6, 6, 6)) > 0.5)):
                (place / kind).mkdir(exist_ok=True)
                nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), place / kind / f"{name}.nii.gz")
            lines.append(f"{name},{'north' if person < 5 or (person, session) == (9, 1) else 'south'}")
    (place / "sites.csv").write_text("\n".join(lines) + "\n")
    return place


def a_study(folder: Path, *overrides: str) -> Study:
    return parse(TEXT, [f'source.folder="{folder}"', 'source.table="sites.csv"', *overrides])


def hospitals(study: Study) -> list[Hospital]:
    return [open_hospital(study.json, index) for index in range(len(site_names(study)))]


@pytest.mark.parametrize("overrides", [(), (PRIVATE,)])
@pytest.mark.parametrize("seed", range(4))
def test_no_person_is_in_two_parts_of_a_split(folder: Path, seed: int, overrides: tuple[str, ...]) -> None:
    for hospital in hospitals(a_study(folder, f"seed={seed}", *overrides)):
        parts = [set(cases.patients.tolist()) for cases in hospital.splits.values()]
        assert sum(map(len, parts)) == len(set().union(*parts)) == (6 if hospital.site == "north" else 5)


def test_a_person_at_two_hospitals_is_in_the_same_part_of_both_where_privacy_is_promised(folder: Path) -> None:
    for seed in range(8):
        parts = [
            [name for name, cases in hospital.splits.items() if "09" in cases.patients]
            for hospital in hospitals(a_study(folder, f"seed={seed}", PRIVATE))
        ]
        assert parts[0] == parts[1]


def test_a_step_takes_one_case_of_a_person_with_two_sessions(folder: Path) -> None:
    study = a_study(folder, PRIVATE)
    hospital = hospitals(study)[0]
    rng = np.random.default_rng(0)
    trainer = PrivateTrainer(
        hospital.task, hospital.network, hospital.train, study.training, 1.0, lambda total: total, "patient", 1.0, rng
    )
    drawn = hospital.train.patients[trainer.sample()].tolist()
    assert len(drawn) == len(set(drawn)) == len(set(hospital.train.patients.tolist())) < len(hospital.train) / 2


@pytest.mark.parametrize("name", PARTITIONS.names())
def test_a_partition_keeps_a_persons_sessions_at_one_hospital(folder: Path, name: str) -> None:
    small = ", marker={side_px=3}" * (name == "marked")
    overrides = ('source.table=""', f'partition={{name="{name}", hospitals=2{small}}}')
    first, second = (
        {person for cases in hospital.splits.values() for person in cases.patients.tolist()}
        for hospital in hospitals(a_study(folder, *overrides))
    )
    assert (first & second, len(first | second)) == (set(), 10)


def test_membership_is_asked_of_persons_and_of_none_whom_another_hospital_trained_on(folder: Path) -> None:
    apart = 0
    for seed in range(30):
        study = a_study(folder, f"seed={seed}")
        both = hospitals(study)
        whose = {
            inputs.tobytes(): person
            for one in both
            for cases in one.splits.values()
            for inputs, person in zip(cases.inputs, cases.patients.tolist(), strict=True)
        }
        trained = {person for one in both for person in one.train.patients.tolist()}
        everybody: list[str] = []
        for asked in sampled(study, tuple(one.site for one in both)).candidates.values():
            names = [
                {whose[inputs.tobytes()] for inputs in asked.cases.inputs[asked.patients == index]}
                for index in range(len(asked.member))
            ]
            assert all(len(own) == 1 for own in names)
            for own, member in zip(names, asked.member, strict=True):
                assert (own <= trained) == member
            everybody += [name for own in names for name in own]
        assert len(everybody) == len(set(everybody)), "a person is asked about once"
        for one, other in (both, both[::-1]):
            apart += "09" in one.splits["test"].patients and "09" in other.train.patients
    assert apart, "no seed parts the person whom both hospitals hold: the test tests nothing"


def test_a_persons_scans_at_another_hospital_are_no_strangers_decoy() -> None:
    inputs, targets = np.zeros((3, 2), np.float32), np.zeros(3, np.int64)
    everybody = Truth(inputs, targets, ("09", "09", "10"), ("north", "south", "south"))
    behind = Truth(inputs[:1], targets[:1], ("09",), ("north",))
    assert others_than(behind, everybody).tolist() == [2]
