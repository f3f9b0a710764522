"""Training, validation and test cases, divided by patient and stable under re-ordering of files."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from common.cases import Cases
from common.order import SPLITS
from common.study import Split


def split(cases: Cases, shares: Split, seed: int) -> Mapping[str, Cases]:
    """The cases of "train", "validation" and "test"; no patient is in two of them.

    Patients are ranked by SHA-256 of (seed, patient) and the ranking is cut at the shares, rounded; at least
    one patient trains. Where the data set prescribes a split it is kept, and only what it does not name
    (validation, most often) is cut from its training patients.
    """
    given = _given(cases)
    free = [patient for patient in _ranked(np.unique(cases.patients), seed) if given.get(patient, "train") == "train"]
    cut = _cut(free, shares, set(given.values()))
    of_patient = {patient: given[patient] for patient in given if given[patient] != "train"} | cut
    names = np.array([of_patient[str(patient)] for patient in cases.patients], dtype="<U10")
    return {name: cases.take(np.flatnonzero(names == name)) for name in SPLITS}


def _given(cases: Cases) -> dict[str, str]:
    """The prescribed split of every patient; a patient with cases in several goes to the strictest, test first."""
    if cases.given_split is None:
        return {}
    given: dict[str, str] = {}
    for patient, name in zip(cases.patients.tolist(), cases.given_split.tolist(), strict=True):
        given[patient] = max(given.get(patient, "train"), name, key=SPLITS.index)
    return given


def _ranked(patients: np.ndarray[tuple[int], np.dtype[np.str_]], seed: int) -> list[str]:
    """Patients by the digest of their name: no other patient's presence changes the order of two."""
    return sorted(patients.tolist(), key=lambda patient: sha256(f"{seed}\x1f{patient}".encode()).digest())


def _cut(ranked: list[str], shares: Split, prescribed: set[str]) -> dict[str, str]:
    count = len(ranked)
    test = 0 if "test" in prescribed else round(shares.test * count)
    validation = 0 if "validation" in prescribed else round(shares.validation * count)
    test = min(test, max(count - 1, 0))
    validation = min(validation, max(count - 1 - test, 0))
    names = ["test"] * test + ["validation"] * validation + ["train"] * (count - test - validation)
    return dict(zip(ranked, names, strict=True))
