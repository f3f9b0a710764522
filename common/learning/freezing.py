"""Parameters that do not travel, chosen by patterns of their names: frozen ones, and a hospital's own."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from common.errors import StudyError
from common.study.spelling import nearest

if TYPE_CHECKING:
    from torch import nn

MOST_NAMED, LEVELS_NAMED = 8, 2


def freeze(network: nn.Module, patterns: tuple[str, ...], place: str = "training.freeze") -> None:
    """Let no parameter learn whose name fits a pattern, such as "encoder.*"; * also stands for dots.

    Raises StudyError where a pattern fits no name, or no parameter would be left to train.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    frozen = {name for pattern in patterns for name in _fitting(pattern, names, place)}
    if patterns and frozen == set(names):
        raise StudyError(f"{place} freezes all {len(names)} parameters: nothing would be learned.")
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def personal_names(network: nn.Module, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the parameters that learn in the hospital and stay there, sorted. As `freeze` in all else.

    Raises StudyError where a pattern fits no name that learns, or nothing would be left to learn together.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    own = {name for pattern in patterns for name in _fitting(pattern, names, "training.personal")}
    if patterns and own == set(names):
        raise StudyError(
            f"training.personal keeps all {len(names)} parameters in the hospitals: nothing would be learned "
            "together. baselines.local = true trains every hospital's own model."
        )
    return tuple(sorted(own))


def only(network: nn.Module, patterns: tuple[str, ...], place: str) -> None:
    """Let no other parameter learn than those whose names fit a pattern; (): all go on.

    Raises StudyError where a pattern fits no name.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    chosen = {name for pattern in patterns for name in _fitting(pattern, names, place)}
    for name, parameter in network.named_parameters():
        if patterns and name not in chosen:
            parameter.requires_grad_(False)


def _fitting(pattern: str, names: list[str], place: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if found:
        return found
    near = nearest(pattern.replace("*", ""), names) or nearest(pattern.partition("*")[0], _beginnings(names))
    guess = f"; the nearest is {near!r}" if near else ""
    parts = list(dict.fromkeys(_part(name) for name in names))
    more = f" and {len(parts) - MOST_NAMED} more" if len(parts) > MOST_NAMED else ""
    there = ", ".join(parts[:MOST_NAMED])
    raise StudyError(f"{place}: no parameter fits {pattern!r}{guess}. The network has {there}{more}.")


def _beginnings(names: list[str]) -> list[str]:
    return sorted({name[: index + 1] for name in names for index, letter in enumerate(name) if letter == "."})


def _part(name: str) -> str:
    """The pattern of the part of a network that a parameter is in; its own name where it lies in none."""
    first = name.split(".")[:LEVELS_NAMED]
    return ".".join([*first, "*"]) if len(first) < name.count(".") + 1 else name
