"""Cases an attacker is asked about: half of the patients were trained on, half were not, and it is not told which.

What it is handed says nothing beside what a patient's data are: patients go by numbers of their own, in an order that
tells nothing, without the column that prescribes their split. A person is asked about once, whatever the number of
hospitals that hold cases of it, and is no example of a stranger where any of them trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases, SiteId, concatenate
from common.seeding import generator
from common.study.study import Study, parse_json
from experiments.access import Access
from experiments.evidence.ground_truth import hospital_of
from experiments.observation import Observation

MOST_PATIENTS = 100
MOST_CASES_A_PATIENT = 4
PATIENTS_IN_ALL, VALUES_IN_ALL = 1000, 1 << 24
"""At most so many patients are asked about, and fewer where their inputs are large, so that it takes seconds."""
TELLING = ("given_split", "consent")
"""Columns that may say who was trained on."""
STRANGERS = ("validation", "test")


@dataclass(frozen=True)
class Candidates:
    """cases: in an order that tells nothing. patients: (N,) number of each one's patient, from 0.

    member: (P,) by that number. places: (P,) which of the hospital's persons in training it is, counted from 1 in the
    order of its cases, which nobody else knows; 0 of those who were not trained on.
    """

    cases: Cases
    patients: NDArray[np.int64]
    member: NDArray[np.bool_]
    places: NDArray[np.int64]

    def by_patient(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean over each patient's cases: cases of one patient do not count as if they were independent."""
        counts = np.bincount(self.patients, minlength=len(self.member))
        return np.asarray(np.bincount(self.patients, scores, minlength=len(self.member)) / counts)


@dataclass(frozen=True)
class Samples:
    """candidates: by hospital that keeps patients for tests. population: others, of whom nobody trained on any."""

    candidates: Mapping[SiteId, Candidates]
    population: Cases | None

    @property
    def access(self) -> Access:
        """What an attack is handed of it."""
        return Access({site: one.cases for site, one in self.candidates.items()}, self.population)


def samples_of(observed: Observation) -> Samples:
    """Whom to ask about in the audit of a run; the same values every time."""
    in_all = min(PATIENTS_IN_ALL, VALUES_IN_ALL // max(1, prod(observed.shape.inputs)))
    most = max(10, min(MOST_PATIENTS, in_all // len(observed.sites)))
    return _samples(observed.study.json, observed.sites, most)


@lru_cache(maxsize=2)
def _samples(study_json: str, sites: tuple[SiteId, ...], most: int) -> Samples:
    return sampled(parse_json(study_json), sites, most)


def sampled(study: Study, sites: Sequence[SiteId], most: int = MOST_PATIENTS) -> Samples:
    """As many of a hospital's training patients as of its test patients, at most `most` of both together.

    The population: patients of validation, and of the tests that are not asked about, at most as many a hospital.
    """
    splits = {site: hospital_of(study, site).splits for site in sites}
    trained = {site: _persons(splits[site]["train"]) for site in sites}
    drawn: list[_Drawn] = []
    taken: set[str] = set()
    for site in sites:
        elsewhere = set[str]().union(*(trained[other] for other in sites if other != site))
        drawn.append(_drawn(study, site, splits[site], taken, elsewhere, most))
        taken |= set(drawn[-1].asked)
    found = {one.site: _candidates(one, splits[one.site], number) for number, one in enumerate(drawn) if one.members}
    left = [_left(one, splits[one.site], taken, most) for one in drawn]
    others = [cases for part in left for cases in part]
    return Samples(found, _numbered(concatenate(others), "other") if others else None)


@dataclass(frozen=True)
class _Drawn:
    """Of one hospital. members, strangers: persons that are asked about; rest: (split, person) that are not."""

    site: SiteId
    members: list[str]
    strangers: list[str]
    rest: list[tuple[str, str]]
    rng: np.random.Generator

    @property
    def asked(self) -> list[str]:
        return [*self.members, *self.strangers]


def _drawn(
    study: Study, site: SiteId, splits: Mapping[str, Cases], taken: set[str], elsewhere: set[str], most: int
) -> _Drawn:
    rng = generator(study.seed, site, "membership candidates")
    names = {part: rng.permutation(np.unique(cases.patients)).tolist() for part, cases in splits.items()}
    members = [name for name in names["train"] if name not in taken]
    fit = {part: [n for n in names[part] if n not in elsewhere and n not in taken] for part in STRANGERS}
    half = min(most // 2, len(members), len(fit["test"]))
    rest = [("validation", name) for name in fit["validation"]] + [("test", name) for name in fit["test"][half:]]
    return _Drawn(site, members[:half], fit["test"][:half], rest, rng)


def _candidates(drawn: _Drawn, splits: Mapping[str, Cases], number: int) -> Candidates:
    parts = [("train", name) for name in drawn.members] + [("test", name) for name in drawn.strangers]
    order = drawn.rng.permutation(len(parts))
    chosen = [_of_patient(splits[parts[place][0]], parts[place][1], drawn.rng) for place in order]
    listed = list(dict.fromkeys(splits["train"].patients.tolist()))
    places = [listed.index(parts[place][1]) + 1 if place < len(drawn.members) else 0 for place in order]
    patients = np.repeat(np.arange(len(parts)), [len(part) for part in chosen])
    cases = _numbered(concatenate(chosen), f"{number}")
    return Candidates(cases, patients, order < len(drawn.members), np.array(places, np.int64))


def _left(drawn: _Drawn, splits: Mapping[str, Cases], taken: set[str], most: int) -> list[Cases]:
    """Cases for the population, of nobody who is asked about at another hospital; each person once."""
    found = []
    for part, name in drawn.rest[:most]:
        if name not in taken:
            taken.add(name)
            found.append(_of_patient(splits[part], name, drawn.rng))
    return found


def _persons(cases: Cases) -> set[str]:
    return set(cases.patients.tolist())


def _of_patient(cases: Cases, patient: str, rng: np.random.Generator) -> Cases:
    own = rng.permutation(np.flatnonzero(cases.patients == patient))[:MOST_CASES_A_PATIENT]
    return cases.take(np.sort(own))


def _numbered(cases: Cases, prefix: str) -> Cases:
    """Without names, and without what would tell their split."""
    names, first = np.unique(cases.patients, return_index=True)
    place = dict(zip(names[np.argsort(first)].tolist(), range(len(names)), strict=True))
    patients = np.array([f"{prefix}-{place[name]}" for name in cases.patients.tolist()])
    hidden = {column: None for column in TELLING if column in cases.columns}
    return cases.with_columns(patients=patients, **hidden)
