"""The role of a question: one that an audit asks of a run. Entries live in `experiments/audit/questions/`.

A question knows how what an attack claims is scored, which light that gives a hospital, how it is said to somebody
who never trained a model, and what figure shows it. The rest of the audit knows no question by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from common.data.cases import SiteId
from experiments.adversary import View
from experiments.attack import Finding
from experiments.audit.records import Light, Reason, Report, Trial
from experiments.audit.run import Run
from server.reporting.markup import Markup

Severity = Literal["negligible", "limited", "significant", "maximum"]
"""Of what a person would bear, in the words of the CNIL's method; an officer has the last word."""
Test = Literal["singling out", "linkability", "inference"]
"""Of the three by which the Article 29 Working Party (WP216) asks whether data are anonymous."""


@dataclass(frozen=True)
class Attempt:
    """One attack on one view. tries: how many the same adversary makes at this question, all told.

    tries_of_all: how many all adversaries make at it together, over which a chance of a false alarm is counted.
    question: name of the one that scores it. condition: as `Trial.condition`.
    """

    attack: str
    source: str
    adversary: str
    view: View
    tries: int = 1
    tries_of_all: int = 1
    question: str = ""
    condition: str = ""

    def trial(self, asked: str, finding: Finding) -> Trial:
        """The finding as a trial that is not scored yet.

        Args:
            asked: what was tried, in plain words.
            finding: of the attack.

        Returns:
            The trial, its light still open.
        """
        return Trial(
            self.attack,
            self.question,
            self.adversary,
            self.view.site,
            asked,
            self.view.knowledge,
            self.source,
            possible=finding.possible,
            reason=finding.reason,
            seconds=finding.seconds,
            figures={**self.view.figures, **finding.figures} if finding.possible else {},
            settings={**finding.settings, **self.view.settings},
            condition=self.condition,
        )


@dataclass(frozen=True)
class Plant:
    """A fault put in on purpose, to see whether the audit would see it.

    fault: in words ("no noise"). view: what the attack is shown of a run that has it. repeats: how often it is tried.
    light: from which on it counts as seen. attacks: that are shown it, by name; () for all of the question.
    """

    fault: str
    view: View
    repeats: int = 1
    light: Light = "red"
    attacks: tuple[str, ...] = ()


class Question(Protocol):
    """A frozen dataclass of options. Where a member of `Declared` below is absent, there is none."""

    title: ClassVar[str]
    """What is tried, as the head of a row: "Rebuilding a patient's data"."""
    asks: ClassVar[str]
    """In one plain sentence with a question mark."""
    heading: ClassVar[str]
    """Head of its column in the table of lights, a question to which "held" answers: "Patients' data hidden?"."""
    share: ClassVar[float]
    """Of the audit's seconds, beside other questions."""
    place: ClassVar[int]
    """Where it stands on the page, the smallest first."""

    def scored(self, attempt: Attempt, finding: Finding, run: Run) -> Sequence[Trial]:
        """The finding beside the truth.

        Args:
            attempt: which attack, of which adversary, on what.
            finding: what came of it.
            run: whose hospitals' data are the truth.

        Returns:
            Trials of this question.
        """
        ...

    def reasons(self, site: SiteId, trial: Trial, run: Run) -> Iterator[Reason]:
        """What a trial that was possible says of a hospital.

        Args:
            site: the hospital.
            trial: of this question.
            run: that was attacked.

        Yields:
            Lights, each with the rule that gave it.
        """
        ...

    def answer(self, trials: Sequence[Trial]) -> str:
        """What all its possible trials came to, in a sentence or two."""
        ...


class Declared(Protocol):
    """Members that a question may have."""

    happened: ClassVar[str]
    """Of a red light, for the first sentence of the report: "a patient's data came back"."""
    weakly: ClassVar[str]
    """The same of an amber one."""

    feared: ClassVar[str]
    """What it would be for a patient, as a row of a table of risks: "Somebody sees a patient's image or record"."""
    severity: ClassVar[Severity]
    """Of that, as a suggestion with which an officer begins."""
    bears_on: ClassVar[tuple[Test, ...]]
    """Tests of anonymity on which its findings bear; ()."""

    def happening(self, site: SiteId, light: Light, trials: Sequence[Trial]) -> str:
        """In the place of both where one word for each is not enough; "" for nothing to say."""
        ...

    def standing(self, site: SiteId, trials: Sequence[Trial], run: Run) -> Iterator[Reason]:
        """Lights that rest on what was promised, whatever was tried."""
        ...

    def plants(self, run: Run) -> Iterable[Plant]:
        """Faults to find, each shown to the same attacks and scored by the same code."""
        ...

    def figure(self, report: Report) -> Markup | None:
        """A section of the page; None where there is nothing to show."""
        ...
