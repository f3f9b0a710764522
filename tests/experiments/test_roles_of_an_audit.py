"""Attacks, questions and adversaries of a stranger's: each slip is named when the file is, with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.audit.cast import cast_of

ATTACK = """
    sees: ClassVar[str] = "model"
    source: ClassVar[str] = "a test"
    def run(self, observed, rng, budget_seconds): ...
"""
QUESTION = """
    title: ClassVar[str] = "Standing out"
    asks: ClassVar[str] = "Does it?"
    heading: ClassVar[str] = "Like others?"
    share: ClassVar[float] = 1
    place: ClassVar[int] = 1
    def scored(self, attempt, finding, run): ...
    def reasons(self, site, trial, run): ...
    def answer(self, trials): ...
"""
ADVERSARY = """
    who: ClassVar[str] = "somebody"
    condition: ClassVar[str] = ""
    heading: ClassVar[str] = ""
    share: ClassVar[float] = 0.5
    def views(self, run): ...
"""
ROLES = {"attack": ATTACK, "question": QUESTION, "adversary": ADVERSARY}


def _named(folder: Path, kind: str, member: str) -> None:
    head = "from dataclasses import dataclass\nfrom typing import ClassVar\n\n@dataclass(frozen=True)\nclass Mine:"
    (folder / "mine.py").write_text(f"{head}{ROLES[kind]}    {member}\n{kind} = Mine\n")
    with trusting(ANYTHING):
        cast_of([(kind, str(folder / "mine.py")), (kind, str(folder / "mine.py"))])


@pytest.mark.parametrize(
    ("kind", "member", "words"),
    [
        ("attack", "questoin = 'membership'", "no member of an attack; did you mean 'question'"),
        ("attack", "question = 'membershp'", "did you mean 'membership'.*--question FILE"),
        ("attack", "question = ('membership',)", "question must be text"),
        ("attack", "needs = ('candidate',)", "each of needs .* did you mean 'candidates'"),
        ("attack", "needs = 'candidates'", r"needs must be a tuple, such as \('candidates',\)"),
        ("attack", "uses = 'sums'", "uses must be 'each' or 'sum' .* did you mean 'sum'"),
        ("attack", "per = 'hospital'", "per must be 'site' or 'run'"),
        ("attack", "share = 'much'", "share must be a number; it is 'much'"),
        ("attack", "share = True", "share must be a number; it is True"),
        ("attack", "source = None", "source must be text; it is None"),
        ("question", "place = 1.5", "place must be a whole number; it is 1.5"),
        ("question", "severity = 'signifcant'", "did you mean 'significant'"),
        ("question", "bears_on = ('linkabilty',)", "did you mean 'linkability'"),
        ("question", "plants = ()", "plants is no method"),
        ("adversary", "only = ('analytc',)", "No attack 'analytc'; did you mean 'analytic'"),
        ("adversary", "gives = ('trainings',)", "did you mean 'training'"),
        ("adversary", "asked = 'no'", "asked must be True or False; it is 'no'"),
    ],
)
def test_a_slip_is_said_before_anything_is_tried(tmp_path: Path, kind: str, member: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        _named(tmp_path, kind, member)


@pytest.mark.parametrize(
    ("kind", "member"),
    [("attack", "needs = None"), ("attack", "share: ClassVar[int] = 2"), ("question", "plants = None"),
     ("adversary", "only = None")],
)  # fmt: skip
def test_what_is_none_or_as_good_as_asked_for_is_taken(tmp_path: Path, kind: str, member: str) -> None:
    _named(tmp_path, kind, member)
