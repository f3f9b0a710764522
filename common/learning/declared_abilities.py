"""What a task declares beyond its role, checked before anything is learned: no slip of a word, no half of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from common.errors import StudyError
from common.learning.abilities import NAMES, TOGETHER, Drawn, can, views

if TYPE_CHECKING:  # a study is read, and a report written, without torch
    from common.learning.task import Task

ROLE = ("headline", "build_network", "loss", "score", "augment", "predict")
COLUMNS = ("inputs", "targets", "patients")
MISSPELT = 0.85
"""Similarity of two words from which one is taken for a slip of the other."""


def check_declared(task: Task, name: str) -> None:
    """Raise StudyError, naming the member, where a task declares one that is misspelt, of another kind or half."""
    own = {member for base in type(task).__mro__ for member in vars(base) if not member.startswith("_")}
    options: list[str] = [one.name for one in fields(task)] if is_dataclass(task) else []
    for member in sorted(own - {*NAMES, *ROLE, *options}):
        if meant := get_close_matches(member, NAMES, 1, MISSPELT):
            raise StudyError(
                f"task {name!r} has {member!r}, which is no member of a task; did you mean {meant[0]!r}? "
                f"If not, call it _{member}."
            )
    for member, needed in TOGETHER:
        if can(task, member) and not can(task, needed):
            raise StudyError(f"task {name!r} has {member} and no {needed}: one is of no use without the other.")
    _check_kinds(task, name)


def _check_kinds(task: Task, name: str) -> None:
    for member in ("views", "companion", "watched", "number_names"):
        if can(task, member) and not _are_words(getattr(task, member)):
            raise StudyError(f"task {name!r}: {member} must be a tuple of words; it is {getattr(task, member)!r}.")
    if taken := set(views(task)) & set(COLUMNS):
        raise StudyError(
            f"task {name!r}: views must be columns of their own; {', '.join(sorted(taken))} is a case's."
        )
    flags = (
        "couples",
        "scored_whole",
        "follows_parameters",
        "weighs_classes",
        "calibrates",
        "loss_of_answers",
        "unlabelled",
        "outlines",
        "patched",
    )
    for member in flags:
        if can(task, member) and not isinstance(getattr(task, member), bool):
            raise StudyError(f"task {name!r}: {member} must be True or False; it is {getattr(task, member)!r}.")
    named = getattr(task, "optimised", None)
    if named is not None and named != {} and not _are_groups(named):
        raise StudyError(
            f"task {name!r}: optimised must name two groups or more, each a tuple of beginnings of parameters' "
            f"names; it is {named!r}."
        )
    _check_drawn(task, name)


def _check_drawn(task: Task, name: str) -> None:
    drawn = getattr(task, "drawn", None)
    if drawn is not None and drawn not in get_args(Drawn):
        raise StudyError(f"task {name!r}: drawn must be one of {', '.join(get_args(Drawn))}; it is {drawn!r}.")
    if drawn == "panels" and not can(task, "panels"):
        raise StudyError(f"task {name!r}: drawn is 'panels', and it has no method of that name.")


def _are_words(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(one, str) and one for one in value)


def _are_groups(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 1 and all(_are_words(one) for one in value.values())
