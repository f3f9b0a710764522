"""A finding: what was noticed, how grave it is, where, and the names behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from common.data.cases import SiteId

Grade = Literal["error", "warning", "note"]
GRADES: tuple[Grade, ...] = ("error", "warning", "note")
MEANINGS = {
    "error": "the run would stop, or its figures would be wrong",
    "warning": "look at it before you train",
    "note": "good to know",
}
MOST_ALIKE = 12
"""Findings of one kind; of more there is one, which lists them."""
MOST_SITES = 6
EVERYWHERE = ""
"""The place of what is of no single hospital."""


@dataclass(frozen=True)
class Finding:
    """kind: one word for machines. site: a hospital, several, or EVERYWHERE. words: a sentence or two, without names
    of patients; names: persons, cases or files, all of them, each maybe with what is said of it.
    """

    grade: Grade
    kind: str
    site: SiteId
    words: str
    names: tuple[str, ...] = ()


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors first; else as the rules gave them, which is the same every time."""
    return tuple(sorted(findings, key=lambda finding: GRADES.index(finding.grade)))


def may_train(findings: Sequence[Finding]) -> bool:
    """Whether there is no error."""
    return all(finding.grade != "error" for finding in findings)


def together(findings: Sequence[Finding]) -> list[Finding]:
    """What is said of several hospitals in the same words, once; and of very many in any words, as a list of them."""
    found: dict[object, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding if finding.names else replace(finding, site=EVERYWHERE), []).append(finding)
    kinds: dict[tuple[Grade, str, bool], list[Finding]] = {}
    for finding in map(_at_once, found.values()):
        kinds.setdefault((finding.grade, finding.kind, bool(finding.site)), []).append(finding)
    return [one for alike in kinds.values() for one in (alike if len(alike) <= MOST_ALIKE else [_listed(alike)])]


def _at_once(same: Sequence[Finding]) -> Finding:
    sites = tuple(finding.site for finding in same)
    if len(sites) <= MOST_SITES:
        return replace(same[0], site=", ".join(sites))
    return replace(same[0], site=EVERYWHERE, words=f"{len(sites)} hospitals: {same[0].words}", names=sites)


def _listed(alike: Sequence[Finding]) -> Finding:
    first = alike[0]
    names = [f"{one.site}: {'; '.join((one.words, *one.names))}" for one in alike]
    words = f"Of {len(alike)} hospitals or groups of them, “{first.kind}”. The first: {first.words}"
    return replace(first, site=EVERYWHERE, words=words, names=tuple(names))
