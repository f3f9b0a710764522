"""An attack on a study with a stranger's code: where that fails under it, the audit goes on and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from common.errors import WardroundError, first_line
from experiments.audit.records import Kind, Trial
from experiments.observation import Observation

QUESTION = "Did the study's own program stand the attempt?"
FAILED = "failed"
"""Setting of a trial that an error ended: nothing was found, and nothing is known."""


def tried(observed: Observation, attack: str, kind: Kind, attempt: Callable[[], Iterable[Trial]]) -> list[Trial]:
    """The trials of an attempt; one that says why there are none where a plug-in of the study failed under it.

    Whatever is raised in a study of our own entries alone is a defect of ours, and rises.
    """
    try:
        return list(attempt())
    except Exception as error:
        if not observed.study.plugins:
            raise
        return [
            Trial(
                attack,
                kind,
                observed.observer,
                "",
                QUESTION,
                "what the attacks of this kind are given",
                "",
                possible=False,
                reason=reason_of(error),
                settings={FAILED: True},
            )
        ]


def reason_of(error: Exception) -> str:
    """One line, as a trial says it."""
    line = first_line(error).rstrip(".")
    said = line if isinstance(error, WardroundError) else f"{type(error).__name__}: {line}"
    return f"the study's own program failed under it ({said})"
