"""What a run's model scores on each single patient, in simulation: from real hospitals no patient's score leaves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.evaluation import answers, evaluate, evaluate_patients
from client.hospital import Hospital, open_hospital, site_names
from common.data.names import SiteId
from common.errors import StudyError
from common.files.tensor_files import read_tensors
from common.learning.abilities import can, compares_patients, presented
from common.learning.judging import Answered, judge, taken
from common.learning.task import Task
from common.metrics.roc import with_auc
from common.study.study import Study
from common.sums.mean import Mean, merge
from experiments.prediction.trained import demand_room, put, shape_of

MODEL = "model.safetensors"
NO_ONE_MODEL = (
    "each hospital has parts of the model to itself (training.personal), which the run's folder does not hold"
)
Person = tuple[SiteId, str]
Values = dict[str, float | None]


@dataclass(frozen=True)
class PatientScores:
    """One model's scores on persons, in the order of hospitals and of their names.

    means: of each person alone, or that person's part in the mean. hospitals: with the network as it scores, for
    tasks that compare persons.
    """

    task: Task
    persons: tuple[Person, ...]
    means: tuple[Mapping[str, Mean], ...]
    hospitals: tuple[Hospital, ...]
    split: str

    @property
    def headlines(self) -> dict[Person, float]:
        """The headline of each person that has one; {} where scores compare persons."""
        if compares_patients(self.task):
            return {}
        shown = [presented(self.task, with_auc(means)).get(self.task.headline) for means in self.means]
        return {person: value for person, value in zip(self.persons, shown, strict=True) if value is not None}

    def restricted(self, persons: Collection[Person]) -> PatientScores:
        """Of these alone."""
        kept = [place for place, person in enumerate(self.persons) if person in persons]
        return replace(
            self,
            persons=tuple(self.persons[place] for place in kept),
            means=tuple(self.means[place] for place in kept),
        )

    def of_all(self) -> Values:
        """The scores of all persons together, as a run tells them."""
        return self.resampled(np.ones((1, len(self.persons)), np.int64))[0]

    def resampled(self, times: NDArray[np.int64]) -> list[Values]:
        """Scores of (B, persons) samples, in which each person is taken so many times."""
        if compares_patients(self.task):
            return [self._whole(row) for row in times]
        names = sorted({name for means in self.means for name in means})
        empty = Mean()
        totals, weights = (
            np.array([[getattr(means.get(name, empty), kind) for name in names] for means in self.means], np.float64)
            for kind in ("total_units", "weight_units")
        )
        summed = zip((times @ totals).tolist(), (times @ weights).tolist(), strict=True)
        return [self._shown(names, total, weight) for total, weight in summed]

    def _shown(self, names: Sequence[str], totals: Sequence[float], weights: Sequence[float]) -> Values:
        means = {name: Mean(int(t), int(w)) for name, t, w in zip(names, totals, weights, strict=True)}
        return presented(self.task, with_auc(means))

    def _whole(self, times: NDArray[np.int64]) -> Values:
        """A score that compares persons is that of the sample as a whole, hospital by hospital."""
        drawn = dict(zip(self.persons, times.tolist(), strict=True))
        parts: list[Mapping[str, Mean]] = []
        for hospital, answered in zip(self.hospitals, self._answered, strict=True):
            cases = hospital.splits[self.split]
            counts = [drawn.get((hospital.site, str(patient)), 0) for patient in cases.patients]
            rows = np.repeat(np.arange(len(cases)), counts)
            if answered is None:
                parts.append(evaluate(self.task, hospital.network, cases.take(rows)))
            elif len(rows):
                parts.append(judge(self.task, taken(answered, rows)))
        return presented(self.task, with_auc(merge(parts)))

    @cached_property
    def _answered(self) -> tuple[Answered | None, ...]:
        """What each hospital's network answers of its cases, asked once for all samples; None where no task says so
        or there are no cases."""
        each = [(hospital, hospital.splits[self.split]) for hospital in self.hospitals]
        able = can(self.task, "answered")
        return tuple(
            answers(self.task, hospital.network, cases) if able and len(cases) else None for hospital, cases in each
        )


def score_patients(
    study: Study, folder: Path, sites: Collection[SiteId] | None = None, split: str = "test"
) -> PatientScores:
    """The scores of the model that the run in `folder` left. sites: the hospitals, if not all of the study.

    Raises SourceError where the data are not on this machine, FileError where the run has no model, and StudyError
    where each hospital has another, or the run withholds these patients.
    """
    if study.federation.withhold_test and split == "test":
        raise StudyError("no single patient is scored: the run withholds its test cases (federation.withhold_test).")
    if study.training.personal:
        raise StudyError(f"no single patient is scored: {NO_ONE_MODEL}.")
    tensors = read_tensors(folder, MODEL).tensors
    demand_room(study.build_task(), shape_of(folder), tensors, folder / MODEL)
    hospitals = []
    for index, site in enumerate(site_names(study)):
        if sites is None or site in sites:
            hospital = open_hospital(study.json, index)
            put(hospital.network, tensors, folder / MODEL)
            hospitals.append(hospital)
    found = {
        (hospital.site, patient): means
        for hospital in hospitals
        for patient, means in evaluate_patients(hospital.task, hospital.network, hospital.splits[split]).items()
    }
    return PatientScores(study.build_task(), tuple(found), tuple(found.values()), tuple(hospitals), split)
