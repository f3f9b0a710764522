"""What a run lost beside its rounds' replies: kept as it happens, in `problems.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from common.data.names import SiteId
from common.files.access import append, is_there, write
from common.files.json_files import read_lines

FILE = "problems.jsonl"
Stage = Literal[
    "start",
    "range",
    "last vote",
    "final evaluation",
    "models",
    "local models",
    "pooled model",
    "patients",
    "pictures",
    "tracking",
    "audit",
]
WORDS: Mapping[str, str] = {
    "start": "took no part",
    "last vote": "did not vote on the last model",
    "final evaluation": "is missing from the final evaluation",
    "models": "was not given the model",
    "local models": "has no model of its own to compare with",
    "pooled model": "is missing from the pooled model",
    "pictures": "has no picture",
    "audit": "is missing from the audit",
}
WORDS_OF_ALL: Mapping[str, str] = {
    "start": "a hospital took no part",
    "range": "some values were cut to the range of the sum",
    "last vote": "nobody voted on the last model",
    "final evaluation": "there is no final evaluation",
    "models": "no hospital was given the model",
    "local models": "there are no models of single hospitals to compare with",
    "pooled model": "there is no pooled model to compare with",
    "pictures": "there are no pictures",
    "audit": "the run was not audited",
}
"""Where it is nobody's in particular."""


@dataclass(frozen=True)
class Problem:
    """Something that was lost at a stage, and why. site: "" and node: None where it is not known whose, or nobody's.

    after_round: the last round that had finished. reason: never an exception's text of a hospital's.
    """

    stage: str
    reason: str
    site: SiteId = ""
    node: int | None = None
    after_round: int = 0

    @property
    def who(self) -> str:
        """By name, else by the number of its node; "" where it is nobody's."""
        return self.site or ("" if self.node is None else f"node {self.node}")

    def told(self, reason: str) -> str:
        """What was lost, and why, for a reason that is known better than to the server."""
        return replace(self, reason=reason).sentence

    @property
    def sentence(self) -> str:
        """What was lost, and why."""
        what = WORDS.get(self.stage, f"failed in {self.stage}")
        lost = f"{self.who} {what}" if self.who else WORDS_OF_ALL.get(self.stage, f"{self.stage} failed")
        return f"{lost}: {without_stop(self.reason)}" if self.reason else lost

    @property
    def table(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stage": self.stage,
            "site": self.site or None,
            "node": self.node,
            "after_round": self.after_round,
            "reason": self.reason,
        }


def without_stop(sentence: str) -> str:
    """To go on with; dots that stand for more stay."""
    return sentence if sentence.endswith("..") else sentence.removesuffix(".")


def keep(folder: Path, problem: Problem) -> None:
    """One more line, on the disk when this returns."""
    append(folder, FILE, json.dumps(problem.table, ensure_ascii=False) + "\n", durable=True)


def forget_from(folder: Path, round_reached: int) -> None:
    """Before a run goes on after a round: what was lost at or after it is tried once more, what came before stands.

    Raises FileError where the file is damaged.
    """
    if not is_there(folder, FILE):
        return
    kept = [line for line in read_lines(folder, FILE) if _round_of(line) < round_reached]
    write(folder, FILE, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))


def _round_of(line: Mapping[str, Any]) -> int:
    number = line.get("after_round")
    return number if type(number) is int else 0
