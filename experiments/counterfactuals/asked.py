"""What is asked of a causal model in words: actions such as `thickness=4`, and whose pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from common.causality.deep.model import Cause
from common.errors import StudyError
from common.study.spelling import unknown

Action = Mapping[str, float]
"""Causes that are set, and to what."""
MOST_ACTIONS = 12


def actions_of(words: Sequence[str], causes: Sequence[Cause]) -> tuple[Action, ...]:
    """Each word's action: `age=70`, or of several causes at once `age=70,sex=1`.

    Without any, every cause is set a spread to each side of its center, or to each of its classes. Raises StudyError
    or UnknownNameError for what is no action.
    """
    found = tuple(_action(word, causes) for word in words) or tuple(_usual(causes))
    if len(found) > MOST_ACTIONS:
        raise StudyError(f"--do was given {len(found)} actions; at most {MOST_ACTIONS} fit on one page.")
    return found


def words_of(action: Action) -> str:
    """As a paper writes it."""
    return f"do({', '.join(f'{name} = {value:.4g}' for name, value in action.items())})"


def _action(word: str, causes: Sequence[Cause]) -> Action:
    known = {cause.name: cause for cause in causes}
    found: dict[str, float] = {}
    for part in word.split(","):
        name, sign, text = (piece.strip() for piece in part.partition("="))
        if not sign or not text:
            raise StudyError(f"--do {word!r} must be a cause and its value, such as {causes[0].name}=1.")
        if name not in known:
            raise unknown("cause of the model", name, tuple(known))
        if name in found:
            raise StudyError(f"--do {word!r} sets {name} twice.")
        found[name] = _value(text, known[name])
    return found


def _value(text: str, cause: Cause) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudyError(f"--do {cause.name}={text}: a number is needed.")
    if cause.classes and value not in range(cause.classes):
        raise StudyError(f"--do {cause.name}={text}: its classes are numbered from 0 to {cause.classes - 1}.")
    return value


def _usual(causes: Sequence[Cause]) -> Iterator[Action]:
    """What a first look shows."""
    every = [
        {cause.name: float(value)}
        for cause in causes
        for value in (
            range(cause.classes) if cause.classes else (cause.center - cause.spread, cause.center + cause.spread)
        )
    ]
    yield from every[:MOST_ACTIONS]
