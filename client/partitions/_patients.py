"""What every partition works on: patients, in an order of their own, with one label each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases
from common.errors import StudyError

MASK_TERCILES = 3


@dataclass(frozen=True)
class Patients:
    """names: (P,) sorted. labels: (P,) whole numbers. of_case: (N,) the patient's index of every case."""

    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    of_case: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)


def patients_of(cases: Cases, hospitals: int) -> Patients:
    """The patients of `cases`. Raises StudyError where there are fewer than hospitals.

    A patient's label is the commonest of its cases', the lower one where two are as common. Where a case is a
    mask, it is the tercile of the patient's share of foreground among all patients: little, some, much; where it is
    a number, the tercile of the patient's mean. Without a truth all have one.
    """
    names, of_case = np.unique(cases.patients, return_inverse=True)
    if len(names) < hospitals:
        raise StudyError(f"{len(names)} patients cannot be divided between {hospitals} hospitals.")
    return Patients(names, _labels(cases, of_case, len(names)), of_case.astype(np.int64))


def _labels(cases: Cases, of_case: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    if cases.unlabelled:
        return np.zeros(count, np.int64)
    if not cases.columns["targets"].item and cases.classes:
        votes = np.zeros((count, len(cases.classes)), dtype=np.int64)
        np.add.at(votes, (of_case, cases.targets.astype(np.int64)), 1)
        return np.asarray(votes.argmax(axis=1), dtype=np.int64)
    if cases.columns["targets"].item:
        share = np.array([(part > 0 if cases.classes else part).mean() for part in cases.pieces("targets")])
    else:
        share = cases.targets.astype(np.float64)
    mean = np.bincount(of_case, weights=share, minlength=count) / np.bincount(of_case, minlength=count)
    ranks = mean.argsort(kind="stable").argsort(kind="stable")
    return np.asarray(ranks * MASK_TERCILES // count, dtype=np.int64)


def demand_labels(cases: Cases, partition: str) -> None:
    """Raise StudyError where a partition by labels has none to divide by."""
    if cases.unlabelled:
        raise StudyError(
            f"partition {partition!r} divides by labels, and source.unlabelled = true reads none: choose 'iid' or "
            "'quantity', or let the source read labels (source.unlabelled = false), by which a simulation may divide."
        )


def spread(assigned: NDArray[np.int64], hospitals: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The same assignment of patients, but every empty hospital is given one patient of the then largest."""
    filled = assigned.copy()
    for hospital in range(hospitals):
        sizes = np.bincount(filled, minlength=hospitals)
        if sizes[hospital] == 0:
            filled[rng.choice(np.flatnonzero(filled == sizes.argmax()))] = hospital
    return filled
