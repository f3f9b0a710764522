"""What the first page of a dossier says, as values: for the page, and for `audit.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from common.data.names import SiteId
from common.study.dossier_settings import Dossier

RunKind = Literal["simulation", "rehearsal", "deployment"]
Look = Literal["green", "amber", "red"]


@dataclass(frozen=True)
class Condition:
    """Something that must be so for the answer to hold, and what is known of it."""

    light: Look
    sentence: str


@dataclass(frozen=True)
class Recognition:
    """What no attack can exceed: to name the right one of `among` units from all that was let out.

    bound: the largest chance of any attack, guessing having 1 / among; None: without bound.
    """

    site: SiteId
    unit: str
    among: int
    bound: float | None


@dataclass(frozen=True)
class LedgerLine:
    """What all studies together have spent on a hospital's most-spent patient; None: without bound, or not known."""

    site: SiteId
    studies: int
    epsilon: float | None
    delta: float | None
    fault: str = ""


@dataclass(frozen=True)
class Departed:
    """Persons of a hospital who withdrew, since the run began and in all; cases left out for want of consent."""

    site: SiteId
    since: int
    in_all: int
    without_consent: int


@dataclass(frozen=True)
class Risk:
    """One feared event. before: without this study's measures; after: with them. Each with what it rests on."""

    question: str
    feared: str
    severity: str
    before: str
    before_because: str
    after: str
    after_because: str


@dataclass(frozen=True)
class Bearing:
    """What bears on one of the three tests of anonymity, and how it weighs."""

    test: str
    light: Look
    fact: str


@dataclass(frozen=True)
class Price:
    """What a protection cost in a measured comparison: `score` fell by `cost` from `without`."""

    protection: str
    epsilon: float | None
    score: str
    without: float
    cost: float
    source: str


@dataclass(frozen=True)
class Sheet:
    """judged: what kind of run. what: that in a sentence. said: the study's `[dossier]`. conditions: what must be so.
    recognition_note: the bound on any attack, in words. retained: what earlier models hold of those who left, in
    sentences. anonymous: "personal data or anonymous?" answered, or openly left. price_note: how sure prices are, or
    how to measure them. marks: digests, by what they are of.
    """

    judged: RunKind
    what: str
    said: Dossier
    conditions: Sequence[Condition] = ()
    recognitions: Sequence[Recognition] = ()
    recognition_note: str = ""
    ledgers: Sequence[LedgerLine] = ()
    departed: Sequence[Departed] = ()
    retained: Sequence[str] = ()
    risks: Sequence[Risk] = ()
    bearings: Sequence[Bearing] = ()
    anonymous: str = ""
    prices: Sequence[Price] = ()
    price_note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
