"""A study's data as they were checked: holdings and findings, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.study.study import Study
from experiments.data_check.between import between
from experiments.data_check.figures import SCHEMA, figures_of
from experiments.data_check.finding import GRADES, Finding, in_order, may_train, together
from experiments.data_check.holding import Holding
from experiments.data_check.rules import RULES
from server.reporting.wording import count, listed

PRIVATE = "This holds patients' names. It stays in the hospital: do not send it on, and delete it when it is read."


@dataclass(frozen=True)
class Checked:
    """findings: errors first. folder: where the data are, in words. is_own: a hospital's own, whole."""

    study: Study
    name: str
    folder: str
    holdings: tuple[Holding, ...]
    findings: tuple[Finding, ...]
    is_own: bool

    @property
    def may_train(self) -> bool:
        """Whether no error was found."""
        return may_train(self.findings)

    @property
    def verdict(self) -> str:
        """Whether this may be trained on, in a sentence."""
        counts = self.counts
        said = listed([count(number, grade) for grade, number in counts.items() if number])
        if not self.may_train:
            return f"Do not train on this yet: {said}."
        if counts["warning"]:
            return f"Nothing stops a run; look at what was found first: {said}."
        return f"This may be trained on{f': {said}' if said else '. Nothing was found'}."

    @property
    def counts(self) -> dict[str, int]:
        """Findings of every grade."""
        return {grade: sum(finding.grade == grade for finding in self.findings) for grade in GRADES}

    @property
    def title(self) -> str:
        """The study's, or its file's name."""
        return self.study.title or self.name

    def table(self) -> dict[str, Any]:
        """Plain JSON values: every figure, and every finding with all of its names."""
        return {
            "schema": SCHEMA,
            "private": PRIVATE,
            "study": self.title,
            "folder": self.folder,
            "may_train": self.may_train,
            "verdict": self.verdict,
            "findings": [
                {
                    "grade": one.grade,
                    "kind": one.kind,
                    "hospital": one.site or None,
                    "words": one.words,
                    "names": list(one.names),
                }
                for one in self.findings
            ],
            "hospitals": {holding.site: figures_of(holding) for holding in self.holdings},
        }


def checked(study: Study, name: str, folder: str, holdings: Sequence[Holding], is_own: bool) -> Checked:
    """Every rule on every hospital, and on all of them together."""
    found = [finding for holding in holdings for rule in RULES for finding in rule(holding, study)]
    found += between(holdings, is_own)
    return Checked(study, name, folder, tuple(holdings), in_order(together(found)), is_own)
