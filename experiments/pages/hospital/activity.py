"""What a hospital was asked and answered, as its log says: by study and run, what was refused, and the last lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from client._log_chain import Line
from client.audit_log import Found
from client.logged_requests import ANSWERED, FAILED, REFUSED
from common.wire.refusals import sentence_of
from experiments.pages.hospital.studies import Known, names_of
from experiments.pages.sheet import badge, banner
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.sections.layout import numbers, section
from server.reporting.values import count, text
from server.reporting.wording import count as counted
from server.reporting.wording import shortened, size

SHOWN_DIGITS = 8
MOST_RUNS = 60
EVENT_WORDS = {
    ANSWERED: "answered",
    REFUSED: "refused",
    FAILED: "failed here",
    "approved": "study approved",
    "revoked": "approval taken back",
    "declined": "study refused by its people",
    "torn": "a line was torn by a crash",
}


@dataclass
class Served:
    """One run of a study: how often it was answered and refused, its rounds, what left, and when last."""

    study: str
    run: str
    answered: int = 0
    refused: int = 0
    failed: int = 0
    rounds: set[int] = field(default_factory=set)
    bytes_out: int = 0
    last: str = ""

    def take(self, facts: Mapping[str, object]) -> None:
        """One more line of it."""
        event = facts.get("event")
        self.answered += event == ANSWERED
        self.refused += event == REFUSED
        self.failed += event == FAILED
        if event == ANSWERED and (number := count(facts.get("round"))):
            self.rounds.add(number)
        self.bytes_out += count(facts.get("bytes_out"))
        self.last = text(facts.get("time"))


@dataclass(frozen=True)
class Activity:
    """All that the log tells. found: whether it is as it was written. rounds: answered, over all runs."""

    found: Found
    served: tuple[Served, ...]
    refusals: tuple[Line, ...]
    latest: tuple[Line, ...]
    refused: int
    rounds: int


def answered_section(activity: Activity, known: Iterable[Known]) -> Markup:
    """By study and run."""
    titles = names_of(known)
    lede = "By study and run: the rounds that this hospital answered, and how much left it."
    if not activity.served:
        return section("answered", "What was answered", "Nothing was asked of this hospital yet.")
    head = ["Study", "Run", "Rounds", "Answers", "Refused", "Failed", "Left this hospital", "Last"]
    rows = [
        [
            titles.get(one.study, f"a study not known here ({one.study[:SHOWN_DIGITS] or 'none named'})"),
            one.run[:SHOWN_DIGITS] or "before a run",
            _rounds(one.rounds),
            f"{one.answered:,}",
            f"{one.refused:,}",
            f"{one.failed:,}",
            size(one.bytes_out),
            minute(one.last),
        ]
        for one in activity.served[:MOST_RUNS]
    ]
    return section("answered", "What was answered", lede, table(head, rows, words=3))


def refusals_section(activity: Activity, known: Iterable[Known]) -> Markup:
    """The last of them, with the reason in a sentence."""
    titles = names_of(known)
    if not activity.refusals:
        return section("refusals", "What was refused", "Nothing was refused, and nothing failed.")
    rows = [
        [
            minute(text(one.facts.get("time"))),
            titles.get(text(one.facts.get("study")), text(one.facts.get("study"))[:SHOWN_DIGITS] or "none named"),
            _why(one),
        ]
        for one in activity.refusals
    ]
    many = counted(activity.refused, "answer was", "answers were")
    lede = f"{many} refused or failed; the last of them, newest first."
    return section("refusals", "What was refused", lede, table(["When", "Study", "Why"], rows, words=3))


def log_section(activity: Activity) -> Markup:
    """Whether it is whole, the hash to write down elsewhere, and its last lines."""
    found = activity.found
    if found.fault is not None:
        state = banner(
            "bad",
            tag("b", "The log is not as it was written"),
            tag(
                "p",
                f"{found.fault}. The {found.head.count:,} lines before are. Nothing is answered until it is mended.",
            ),
        )
    elif not found.head.count:
        return section(
            "log", "The log", "It has no line yet: nothing was asked of this hospital, and nothing approved."
        )
    else:
        state = joined(
            [
                tag("p", badge("good", "whole"), f" The chain of {found.head.count:,} lines is as it was written."),
                tag(
                    "p",
                    "Write down elsewhere: line ",
                    f"{found.head.count:,} has the hash ",
                    tag("code", found.head.last),
                    ". Later, ",
                    tag("code", "wardround log verify --until HASH"),
                    " says whether it still has: a whole chain written anew is noticed in no other way.",
                    class_="note",
                ),
            ]
        )
    rows = [_row(one) for one in activity.latest]
    shown = numbers(f"The last {counted(len(rows), 'line')}, the newest first", table(HEAD, rows, words=4))
    return section("log", "The log", "Who asked what, when, and what became of it.", state, shown if rows else None)


HEAD = ["Line", "When", "What", "Which", "Bytes in", "Bytes out"]


def _row(line: Line) -> list[Child]:
    facts = line.facts
    event, leg = text(facts.get("event")), text(facts.get("leg"))
    which = [f"study {text(facts.get('study'))[:SHOWN_DIGITS]}"] if facts.get("study") else []
    which += [f"round {facts['round']}"] if facts.get("round") else []
    which += [f"by {text(facts.get('by'))}"] if facts.get("by") else []
    what = EVENT_WORDS.get(event, event)
    return [
        f"{line.number:,}",
        minute(text(facts.get("time"))),
        f"{what}: {leg}" if leg else what,
        ", ".join(which),
        size(count(facts.get("bytes_in"))) if "bytes_in" in facts else "",
        size(count(facts.get("bytes_out"))) if "bytes_out" in facts else "",
    ]


def _why(line: Line) -> str:
    if line.facts.get("event") == FAILED:
        number = text(line.facts.get("incident"))
        return f"it failed here; incident {number} in incidents.log says how"
    return sentence_of(line.facts.get("reason"))


def _rounds(rounds: set[int]) -> str:
    if not rounds:
        return "none"
    low, high = min(rounds), max(rounds)
    if high - low + 1 == len(rounds):
        return f"{low}" if low == high else f"{low} to {high}"
    return f"{len(rounds)}, of {low} to {high}"


def minute(when: str) -> str:
    """An ISO time to the second, in UTC as it is written."""
    return shortened(when[:19].replace("T", " "), 19)
