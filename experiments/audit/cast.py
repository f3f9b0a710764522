"""Who takes part in an audit: every attack, question and adversary of ours, and those that were named for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Any, cast, get_args

from common.errors import StudyError
from common.study.catalogue import Catalogue
from common.study.options import Entry
from common.study.plugins import ANYTHING, Reference, trusting
from common.study.spelling import unknown
from experiments.access import NEEDS
from experiments.adversary import Adversary
from experiments.attack import Attack, Per, Sees, declared
from experiments.audit.records import Plugin, Report
from experiments.catalogue import ADVERSARIES, ATTACKS, QUESTIONS
from experiments.question import Question

KINDS: Mapping[str, Catalogue] = {"attack": ATTACKS, "question": QUESTIONS, "adversary": ADVERSARIES}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "sees": get_args(Sees),
    "uses": get_args(Sees),
    "per": get_args(Per),
    "needs": NEEDS,
}
Named = tuple[tuple[str, str], ...]
"""Entries that were named for an audit, as (kind, name, module or file)."""


@dataclass(frozen=True)
class Cast:
    """By name. asked: attacks and adversaries that were named for this audit."""

    attacks: Mapping[str, Attack]
    questions: Mapping[str, Question]
    adversaries: Mapping[str, Adversary]
    asked: frozenset[str] = frozenset()
    plugins: tuple[Plugin, ...] = field(default=())

    def question_of(self, attack: str) -> str:
        """Name of the question that scores it."""
        return str(declared(self.attacks[attack], "question"))

    def in_order(self) -> list[tuple[str, Question]]:
        """Questions as they stand on the page."""
        return sorted(self.questions.items(), key=lambda one: (one[1].place, one[0]))


def cast_of(named: Iterable[tuple[str, str]]) -> Cast:
    """Ours, and what is named by (kind, name, module or file), whose code is run: whoever began the audit named it.

    An adversary of ours that is only `asked` for plays where it is named. Raises StudyError where one is not there,
    does not fit its role, or is an attack on a question that there is not.
    """
    return _cast(tuple(dict.fromkeys(named)))


def cast_of_report(report: Report) -> Cast:
    """Those who took part in what it reports."""
    return _cast_again(tuple(report.plugins))


@lru_cache(maxsize=8)
def _cast_again(plugins: tuple[Plugin, ...]) -> Cast:
    """Once for all that a page asks of them."""
    return _cast(tuple((one.kind, one.reference) for one in plugins))


def _cast(named: Named) -> Cast:
    found: dict[str, dict[str, Any]] = {
        kind: {name: catalogue.build(Entry(name)) for name in catalogue.names()} for kind, catalogue in KINDS.items()
    }
    asked, plugins = set(), []
    with trusting(ANYTHING):
        for kind, reference in named:
            name = _short(reference, found[kind])
            if reference not in KINDS[kind].names():
                found[kind][name] = KINDS[kind].build(Entry(reference))
                plugins.append(Plugin(kind, name, reference, KINDS[kind].digest(reference) or ""))
            asked.add(name)
    made = Cast(
        cast(dict[str, Attack], found["attack"]),
        cast(dict[str, Question], found["question"]),
        {name: one for name, one in found["adversary"].items() if name in asked or not getattr(one, "asked", False)},
        frozenset(asked),
        tuple(plugins),
    )
    _check_members(made)
    _check_names(made)
    return made


def _short(reference: str, taken: Mapping[str, Any]) -> str:
    """The last part of a file's or module's name, or that of the class it names; all of it where that is taken."""
    found = Reference.of(reference)
    if found is None:
        return reference
    last = PurePath(found.place).stem if found.is_file else found.place.rpartition(".")[2]
    name = found.attribute or last
    return reference if name in taken else name


def _check_members(made: Cast) -> None:
    """Of those that were named: values that choose among a few."""
    for name in made.asked & set(made.attacks):
        attack = made.attacks[name]
        for member, known in CHOICES.items():
            value = getattr(attack, member) if member == "sees" else declared(attack, member)
            for one in value if member == "needs" else (value,):
                if one not in known:
                    raise StudyError(f"attack {name!r}: {unknown(member, one, known)}")


def _check_names(made: Cast) -> None:
    """What those that were named for the audit name themselves: an attack its question, an adversary its attacks."""
    for name in made.asked & made.attacks.keys():
        if (question := made.question_of(name)) not in made.questions:
            own = "One of your own is named beside the attack: --question FILE."
            raise StudyError(f"attack {name!r}: {unknown('question', question, made.questions)} {own}")
    for name in made.asked & made.adversaries.keys():
        for attack in getattr(made.adversaries[name], "only", None) or ():
            if attack not in made.attacks:
                raise StudyError(f"adversary {name!r}: {unknown('attack', attack, made.attacks)}")
