"""What persons were heard to say, and what they have spent: kept where the persons are, for its owner alone.

Asked the same again, a person gives the very answer that was heard before (permanent randomised response: Warner
1965; Erlingsson, Pihur and Korolova 2014), which tells nothing new and costs nothing. If the truth has changed
since, another answer is drawn and charged. Where answers are to be fresh every time, every interview is charged;
either way nobody spends more than the limit, over all questions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import FileError
from common.files.json_files import read_table, write_json
from common.privacy.lazy_chances import RandomBytes
from common.surveys.randomisers import Heard, Randomiser

NAME = "survey-register.json"
_ROUNDING = 1e-9


@dataclass
class Person:
    """spent: epsilon, of all interviews. heard: by the question's digest and the true answer."""

    spent: float = 0.0
    heard: dict[str, dict[str, Heard]] = field(default_factory=dict)


@dataclass
class Register:
    """Persons by name. limit: epsilon that nobody spends more than."""

    persons: dict[str, Person]
    limit: float

    def interview(
        self, person: str, question: str, answer: str, randomiser: Randomiser, random_bytes: RandomBytes, fresh: bool
    ) -> Heard | None:
        """What is heard of a person; None of one whose limit another answer would exceed, who is then not asked.

        question: a digest by `question_digest`. fresh: whether a person who was asked before answers anew.
        """
        record = self.persons.setdefault(person, Person())
        before = record.heard.get(question, {}).get(answer)
        if before is not None and not fresh:
            return before
        if record.spent + randomiser.epsilon > self.limit * (1 + _ROUNDING):
            return None
        heard = randomiser.randomise(answer, random_bytes)
        record.spent += randomiser.epsilon
        record.heard.setdefault(question, {})[answer] = heard
        return heard

    @property
    def most_spent(self) -> float:
        """By one person."""
        return max((person.spent for person in self.persons.values()), default=0.0)


def question_digest(question: str, randomiser: Randomiser) -> str:
    """Of all that decides what an answer is drawn from."""
    whole = [question, list(randomiser.answers), randomiser.epsilon, randomiser.kind]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def load(folder: Path, limit: float) -> Register:
    """The register of a folder, empty where there is none. Raises FileError for a damaged one."""
    table = read_table(folder, NAME)
    try:
        return Register({str(name): _person(one) for name, one in table.items()}, limit)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        reason = "is not as it was written, and answers drawn anew would be charged to nobody"
        raise FileError(folder / NAME, reason) from error


def save(register: Register, folder: Path) -> Path:
    """Written before any answer leaves, and on the disk when this returns."""
    persons = {
        name: {"spent": one.spent, "heard": {key: _lists(of) for key, of in one.heard.items()}}
        for name, one in register.persons.items()
    }
    return write_json(folder, NAME, persons, durable=True)


def _lists(heard: Mapping[str, Heard]) -> dict[str, list[int]]:
    return {answer: list(places) for answer, places in heard.items()}


def _person(one: Any) -> Person:
    heard = {
        str(key): {str(answer): tuple(int(place) for place in places) for answer, places in of.items()}
        for key, of in one["heard"].items()
    }
    spent = float(one["spent"])
    if not 0 <= spent < float("inf"):
        raise ValueError(spent)
    return Person(spent, heard)
