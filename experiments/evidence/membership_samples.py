"""Cases an attacker is asked about: half of the patients were trained on, half were not, and it is not told which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.hospital import site_names
from common.data.cases import Cases, SiteId, concatenate
from common.seeding import generator
from common.study.study import Study
from experiments.evidence.ground_truth import hospital_of

MOST_PATIENTS = 100
MOST_CASES_A_PATIENT = 4


@dataclass(frozen=True)
class Candidates:
    """cases: in an order that tells nothing. patients: (N,) number of each one's patient. member: by that number."""

    cases: Cases
    patients: NDArray[np.int64]
    member: NDArray[np.bool_]

    def by_patient(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean over each patient's cases: cases of one patient do not count as if they were independent."""
        counts = np.bincount(self.patients, minlength=len(self.member))
        return np.asarray(np.bincount(self.patients, scores, minlength=len(self.member)) / counts)


@dataclass(frozen=True)
class Question:
    """candidates: what is asked about. population: other cases of the same kind, which nobody trained on."""

    candidates: Candidates
    population: Cases


def question_of(
    study: Study, site: SiteId, most: int = MOST_PATIENTS, sites: Sequence[SiteId] = ()
) -> Question | None:
    """As many of a hospital's training patients as of its test patients, at most `most` of both together.

    sites: that took part, all of the study if not given. Whom another of them trained on is no example of somebody
    whom nobody did. The population: of patients of validation and of the tests that are not asked about, at most as
    many. None where the hospital keeps no patient for tests.
    """
    rng = generator(study.seed, site, "membership candidates")
    splits = hospital_of(study, site).splits
    names = {part: rng.permutation(np.unique(cases.patients)) for part, cases in splits.items()}
    elsewhere = _trained_elsewhere(study, site, sites or site_names(study))
    for part in ("validation", "test"):
        names[part] = np.array([name for name in names[part] if name not in elsewhere], names[part].dtype)
    half = min(most // 2, len(names["train"]), len(names["test"]))
    if half == 0:
        return None
    chosen = [_of_patient(splits[part], name, rng) for part in ("train", "test") for name in names[part][:half]]
    order = rng.permutation(2 * half)
    parts = [chosen[number] for number in order]
    patients = np.repeat(np.arange(2 * half), [len(part) for part in parts])
    left = [("validation", name) for name in names["validation"]] + [("test", name) for name in names["test"][half:]]
    others = [_of_patient(splits[part], name, rng) for part, name in left[:most]]
    population = concatenate(others) if others else splits["test"].take(np.arange(0))
    return Question(Candidates(concatenate(parts), patients, order < half), population)


def _trained_elsewhere(study: Study, site: SiteId, sites: Sequence[SiteId]) -> set[str]:
    """Persons that other hospitals train on."""
    others = (hospital_of(study, other) for other in sites if other != site)
    return {str(name) for hospital in others for name in np.unique(hospital.train.patients)}


def _of_patient(cases: Cases, patient: str, rng: np.random.Generator) -> Cases:
    own = rng.permutation(np.flatnonzero(cases.patients == patient))[:MOST_CASES_A_PATIENT]
    return cases.take(np.sort(own))
