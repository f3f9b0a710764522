"""All tests of one method on one network, and what they come to in a few words that a map can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.clean_model import CleanModel
from common.attribution.faithfulness.completeness import Completeness
from common.attribution.faithfulness.deletion import Deletion
from common.attribution.faithfulness.insertion import Insertion
from common.attribution.faithfulness.mass import Mass
from common.attribution.faithfulness.pointing import Pointing
from common.attribution.faithfulness.randomisation import Randomisation
from common.attribution.faithfulness.trial import Trial
from common.sums.mean import Mean, Statistics

CHECKS: tuple[Check, ...] = (
    Randomisation(),
    CleanModel(),
    Deletion(),
    Insertion(),
    Pointing(),
    Mass(),
    Completeness(),
)
"""Those first that a picture cannot do without."""
SANITY = {
    "randomisation": "about the image, not the network",
    "clean": "cannot tell a network that learned a mark from one that did not",
}
"""What a map is called that fails a test without which it says nothing of the network."""


@dataclass(frozen=True)
class Judgement:
    """findings: of each test by its name. passed: None where no test applied. words: below a map."""

    findings: Mapping[str, Finding]

    @property
    def passed(self) -> bool | None:
        """Whether all tests that apply were passed."""
        told = [one.passed for one in self.findings.values() if one.passed is not None]
        return all(told) if told else None

    @property
    def sane(self) -> bool:
        """Whether no test was failed without which a map says nothing of the network."""
        return not any(self.findings[name].passed is False for name in SANITY if name in self.findings)

    @property
    def words(self) -> str:
        """In a line."""
        failed = [name for name, one in self.findings.items() if one.passed is False]
        applied = sum(one.passed is not None for one in self.findings.values())
        if not applied:
            return "not tested"
        labels = [SANITY[name] for name in failed if name in SANITY]
        if labels:
            return f"not to be believed: {' and '.join(labels)}"
        if failed:
            return f"passed {applied - len(failed)} of {applied} tests; failed: {', '.join(failed)}"
        return f"passed all {applied} tests that apply"


def measured(trial: Trial, checks: Sequence[Check] = CHECKS) -> dict[str, Mean]:
    """Sums of all tests over the trial's cases. Raises AttributionError where the method does not fit the network."""
    return {name: mean for check in checks for name, mean in check.measured(trial).items()}


def judged(sums: Statistics, checks: Sequence[Check] = CHECKS) -> Judgement:
    """What follows from the sums of one hospital, or of many, merged (`common.sums.mean.merge`)."""
    return Judgement({check.name: check.found(sums) for check in checks})
