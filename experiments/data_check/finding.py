"""A finding: what was noticed, how grave it is, where, and the names behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from common.cases import SiteId

Grade = Literal["error", "warning", "note"]
GRADES: tuple[Grade, ...] = ("error", "warning", "note")
MEANINGS = {
    "error": "the run would stop, or its figures would be wrong",
    "warning": "look at it before you train",
    "note": "good to know",
}
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
    """What is said of several hospitals in the same words, once, at the place of the first."""
    found: dict[object, Finding] = {}
    for finding in findings:
        key = finding if finding.names else replace(finding, site=EVERYWHERE)
        before = found.get(key)
        sites = finding.site if before is None else f"{before.site}, {finding.site}"
        found[key] = replace(finding, site=sites)
    return list(found.values())
