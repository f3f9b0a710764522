"""What every question of an audit must do."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any, ClassVar

import numpy as np
import pytest

from experiments.adversary import View
from experiments.attack import Finding, Membership, Reconstruction
from experiments.audit.records import WORST, Trial
from experiments.audit.run import Run
from experiments.question import Attempt, Question
from wardround.testing.audits import tiny_run
from wardround.testing.laws import check_options

RUN = ("strategy=fedsgd", "training={batch_size=1}", "rounds=1")


class QuestionTests:
    """Inherit, and bind `question` to one. What light a finding deserves is for its own tests.

    findings: of an attack that it can score, beside those that are tried on every question.
    """

    question: Question
    findings: ClassVar[Sequence[Finding]] = ()

    @pytest.fixture
    def made(self) -> Any:
        """The question."""
        return self.question

    @pytest.fixture
    def run(self) -> Run:
        """A tiny run, opened for an audit."""
        return tiny_run(RUN)

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """What it did must be possible to do again. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_it_is_said_in_words_and_takes_its_place(self, made: Any) -> None:
        """An officer reads them. Mend: `title` and `heading` are heads, `asks` a sentence with a question mark."""
        assert all(isinstance(one, str) and len(one) > 3 for one in (made.title, made.asks, made.heading))
        assert made.asks.endswith("?") and made.heading.endswith("?"), "`asks` and `heading` are questions"
        assert made.share > 0 and isinstance(made.place, int), "`share` is above 0, `place` a whole number"

    def test_what_was_not_possible_is_a_trial_that_says_why(self, made: Any, run: Run) -> None:
        """A verdict counts on it. Mend: begin with `attempt.trial(words, finding)`."""
        (trial,) = self._scored(made, Finding("mine", "server", False, "it saw nothing"), run)
        assert not trial.possible and trial.reason == "it saw nothing"

    def test_of_whatever_an_attack_claims_it_makes_trials_or_says_what_is_wrong(self, made: Any, run: Run) -> None:
        """An attack may be a stranger's. Mend: raise StudyError for a claim that cannot be scored."""
        for finding in (*_claims(run), *self.findings):
            try:
                trials = self._scored(made, finding, run)
            except Exception:  # noqa: BLE001 - the audit makes a trial of it, whatever it is
                continue
            for trial in trials:
                assert not any(map(isnan, trial.figures.values())), (
                    f"of {finding.claims} it made figures that are none"
                )
                self._check_rules(made, trial, run)

    def test_its_answer_and_figure_are_for_a_page(self, made: Any, run: Run) -> None:
        """They stand in the report. Mend: a sentence; and markup, or None where there is nothing to show."""
        trial = Trial("mine", "mine", "coordinator", "", "", "", "")
        assert isinstance(made.answer([trial]), str)
        if hasattr(made, "standing"):
            for light, words, change in made.standing(run.observed.sites[0], [], run):
                assert light in WORST and words and isinstance(change, str)
        if hasattr(made, "plants"):
            assert all(plant.fault and plant.repeats > 0 for plant in made.plants(run))

    def _scored(self, made: Any, finding: Finding, run: Run) -> list[Trial]:
        attempt = Attempt("mine", "", "coordinator", View(run.handed), question="mine")
        found = list(made.scored(attempt, finding, run))
        assert found and all(isinstance(one, Trial) for one in found), "it makes a trial, or several"
        assert all(one.kind == "mine" for one in found), "a trial is of the question that the attempt names"
        return found

    def _check_rules(self, made: Any, trial: Trial, run: Run) -> None:
        for site in run.observed.sites if trial.possible else ():
            for light, words, change in made.reasons(site, trial, run):
                assert light in WORST, f"a light is {', '.join(WORST)}; it is {light!r}"
                assert words and isinstance(change, str), "a rule says what it found"


def _claims(run: Run) -> list[Finding]:
    """What an attack may come up with, of any kind, right and wrong."""
    site, shape = run.observed.sites[0], run.observed.shape.inputs
    inputs = np.zeros((1, *shape), np.float32)
    claims: list[tuple[Any, ...]] = [(), (None,), (Membership(np.full(3, nan), site),), (Membership(np.zeros(0)),)]
    found = [Finding("mine", "server", True, claims=one) for one in claims]
    for one in (
        Reconstruction(1, (site,), inputs, np.zeros(1, np.int64)),
        Reconstruction(1, (site,), inputs * nan),
        Reconstruction(1, ("nobody",), inputs),
        Reconstruction(99, (site,), np.zeros((2, 1), np.float32)),
    ):
        found.append(Finding("mine", "server", True, reconstructions=(one,)))
    return found
