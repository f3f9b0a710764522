"""What a simulated hospital's own model scores on each of its patients: kept here, for its gain's interval.

A real hospital keeps none: nobody could compare them with the federated model's without its patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from client.evaluation import evaluate_patients
from client.hospital import Hospital
from common.files.json_files import read_table, write_json
from common.learning.abilities import compares_patients
from common.sums.mean import Mean

FILE = "own-model-scores.json"
MOST_PATIENTS = 2000
"""Of more, single scores cost more than they tell: sums over patients give an interval as narrow."""
OwnScores = Mapping[str, Mapping[str, Mean]]
"""Means by patient and name."""


def of_patients(hospital: Hospital, split: str) -> OwnScores:
    """Of each patient; {} where no patient's part in a score can be told, or they are too many."""
    cases = hospital.splits[split]
    if compares_patients(hospital.task) or len(set(cases.patients)) > MOST_PATIENTS:
        return {}
    return evaluate_patients(hospital.task, hospital.network, cases)


def keep(folder: Path | None, scores: OwnScores) -> None:
    """Write them into the hospital's own folder, where it has one."""
    if folder is not None and scores:
        plain = {
            patient: {name: [mean.total_units, mean.weight_units] for name, mean in one.items()}
            for patient, one in scores.items()
        }
        write_json(folder, FILE, plain)


def read(folder: Path) -> dict[str, dict[str, Mean]]:
    """What was kept; {} where nothing was, or it is damaged."""
    found: dict[str, dict[str, Mean]] = {}
    for patient, one in read_table(folder, FILE).items():
        if isinstance(one, dict):
            pairs = {name: pair for name, pair in one.items() if _is_pair(pair)}
            found[patient] = {name: Mean(*pair) for name, pair in pairs.items()}
    return found


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value)
