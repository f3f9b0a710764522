"""The cases that a page changes: those that the model neither learned from nor was chosen by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.adversarial.aims import answering
from common.data.cases import Cases, SiteId
from common.learning.task import Task
from experiments.explanations.subject import Subject


def tests_of(subject: Subject, most: int) -> Mapping[SiteId, Cases]:
    """The first `most` cases of each hospital that has any, all of a patient or none; {} where none are here."""
    found = {one.site: one.splits[subject.part] for one in subject.hospitals}
    return {site: _first(cases, most) for site, cases in found.items() if len(cases)}


def task_of(subject: Subject) -> Task:
    """What answers: of training against changes, the task that it is around."""
    return answering(subject.trained.task)


def _first(cases: Cases, most: int) -> Cases:
    if len(cases) <= most:
        return cases
    patients = cases.patients
    cut = set(patients[most:].tolist())
    kept = [index for index in range(most) if patients[index] not in cut]
    return cases.take(np.array(kept or list(range(most)), np.int64))
