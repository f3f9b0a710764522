"""A survey's randomiser from words of the command line."""

from __future__ import annotations

from common.study.spelling import unknown
from common.surveys.randomisers import KINDS, Randomiser, best_kind


def randomiser_of(answers: str, epsilon: float, kind: str | None) -> Randomiser:
    """answers: with commas between. Raises StudyError for what makes no question."""
    words = tuple(word.strip() for word in answers.split(","))
    if kind is not None and kind not in KINDS:
        raise unknown("kind of randomised answer", kind, KINDS)
    return Randomiser(words, epsilon, kind if kind else best_kind(len(words), epsilon))
