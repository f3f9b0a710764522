"""`[dossier]` of a study: what a data-protection officer must know and no program can tell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

from common.errors import StudyError

LONGEST = 2000
MOST_PARTIES = 64


@dataclass(frozen=True)
class Party:
    """Somebody who takes part: a name, and the role that the law knows, such as "joint controller" or "processor"."""

    name: str
    role: str

    def __post_init__(self) -> None:
        _check_words("dossier.parties", name=self.name, role=self.role)
        if not self.name.strip() or not self.role.strip():
            raise StudyError("dossier.parties: each names who it is and its role, such as 'processor'.")


@dataclass(frozen=True)
class Dossier:
    """Words for the first page of an audit's dossier; each that is left out stands there as a line to be filled in.

    purpose: what the model is for. controller: who decides on purpose and means. contact: the data-protection
    officer's. parties: whoever else takes part, each with a role. legal_basis: of the processing, and the condition
    for data about health. data: categories of personal data. persons: categories of those whom they are about.
    necessity: why less would not do. information: how persons are told, and how they object. consultation: whose
    views were sought. retention: how long runs, updates and models are kept. review: the day on which the decision is
    looked at again, as 2027-06-30.

    None of it changes what is trained, or the study's digest where none is said; what is said is part of what
    hospitals approve.
    """

    purpose: str = ""
    controller: str = ""
    contact: str = ""
    parties: tuple[Party, ...] = ()
    legal_basis: str = ""
    data: str = ""
    persons: str = ""
    necessity: str = ""
    information: str = ""
    consultation: str = ""
    retention: str = ""
    review: str = ""

    def __post_init__(self) -> None:
        words = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "parties"}
        _check_words("dossier", **words)
        if len(self.parties) > MOST_PARTIES:
            raise StudyError(f"dossier.parties: at most {MOST_PARTIES} are listed; there are {len(self.parties)}.")
        if self.review:
            _check_day(self.review)


def _check_words(where: str, **words: str) -> None:
    for name, text in words.items():
        if len(text) > LONGEST:
            raise StudyError(f"{where}.{name} may have {LONGEST} characters; it has {len(text)}.")


def _check_day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise StudyError(f"dossier.review is a day such as 2027-06-30; it is {text[:40]!r}.") from None
