"""A finished run as the audit has it open: what was seen, what was promised, and the truth for those who score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from common.data.cases import Cases
from common.study.study import Study
from experiments.access import Access, Need
from experiments.audit.records import Claim
from experiments.evidence.answered_maps import AnsweredMaps
from experiments.evidence.ground_truth import Truth, all_cases, hospital_of
from experiments.evidence.membership_samples import samples_of
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.releases import AuditedRelease
from experiments.observation import Observation

HANDED: tuple[Need, ...] = ("candidates", "population", "tests", "public", "release", "maps")
"""What anybody may be asked about, whatever it sees."""


@dataclass(frozen=True)
class Run:
    """folder: of the run. observed: the coordinator's view. orders: messages that asked for training, as recorded.

    claim: what was promised. pictures: whether patients' images go into the report. seconds: of all attacks. public:
    cases of nobody in the study, as anybody can get them. release: of its patients, that was named for this audit.
    maps: sums that its hospitals answered, likewise.
    """

    folder: Path
    observed: Observation
    orders: Orders
    claim: Claim
    pictures: bool = False
    seconds: float = 120.0
    public: Cases | None = None
    release: AuditedRelease | None = None
    maps: AnsweredMaps | None = None

    @property
    def study(self) -> Study:
        """Every setting of the run."""
        return self.observed.study

    @cached_property
    def everybody(self) -> Truth:
        """All cases of those that took part: the crowd among which a reconstruction has to find its own patient."""
        return all_cases(self.study, self.observed.sites)

    @cached_property
    def handed(self) -> Observation:
        """The coordinator's view, with cases that anybody may be asked about."""
        asked = samples_of(self.observed).access
        tests = {site: hospital_of(self.study, site).splits["test"] for site in self.observed.sites}
        tests = {site: cases for site, cases in tests.items() if len(cases)}
        access = Access(candidates=asked.candidates, population=asked.population, tests=tests, public=self.public)
        access = replace(access, release=None if self.release is None else self.release.released, maps=self.maps)
        return replace(self.observed, access=access)
