"""An answer in words that a terminal and a page share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOT_KNOWN = "–"


def heading(answer: Mapping[str, Any]) -> str:
    """What was asked."""
    words = str(answer["question"]["words"])
    return words[:1].upper() + words[1:]


def origin(answer: Mapping[str, Any]) -> Iterator[str]:
    """Who contributed, who did not and why, what it took, and what it tells."""
    contributed, missing = answer["contributed"], answer["missing"]
    if contributed:
        yield f"From {_counted(len(contributed), 'hospital')}: {', '.join(contributed)}."
    reasons: dict[str, list[str]] = {}
    for one in missing:
        reasons.setdefault(str(one["reason"]), []).append(str(one["site"]))
    for reason, sites in reasons.items():
        yield f"Without {', '.join(sites)}: {reason}."
    if answer.get("of_hospitals"):
        yield "It tells of single hospitals: these numbers of each are known whichever way sums travel."
    if answer["queries"]:
        queries, sent = _counted(answer["queries"], "query", "queries"), _counted(answer["numbers_sent"], "number")
        yield f"{queries}, {sent} of each hospital, {answer['seconds']:.2g} s."
    yield f"It discloses: {answer['discloses'][:1].lower()}{answer['discloses'][1:]}"


def cell(value: object) -> str:
    """A cell of a table: numbers to six digits, nothing as a dash."""
    if value is None:
        return NOT_KNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _counted(many: int, one: str, several: str = "") -> str:
    return f"{many:,} {one if many == 1 else several or one + 's'}"
