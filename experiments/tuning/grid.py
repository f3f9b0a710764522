"""Settings to choose among: `--over training.weight_decay=0,0.01,0.1`, one list or several, which make a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from common.errors import StudyError

MOST_CANDIDATES = 200
OPENING, CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Candidate:
    """settings: overrides, `key=value`, as `--set` takes them."""

    settings: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """Of every setting, in words."""
        return tuple(one.partition("=")[2] for one in self.settings)


def candidates(over: Sequence[str]) -> tuple[Candidate, ...]:
    """Every combination, in the order they are listed. Raises StudyError where a list is none."""
    axes = [_axis(one) for one in over]
    keys = [axis[0].partition("=")[0] for axis in axes]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise StudyError(f"--over names {twice[0]} twice; list all its values once.")
    found = tuple(map(Candidate, product(*axes)))
    if not 2 <= len(found) <= MOST_CANDIDATES:
        raise StudyError(
            f"--over lists {len(found)} candidates; a choice is among 2 to {MOST_CANDIDATES}, "
            "such as --over training.weight_decay=0,0.01,0.1"
        )
    return found


def _axis(text: str) -> tuple[str, ...]:
    key, equals, listed = text.partition("=")
    values = [value.strip() for value in _split(listed)]
    if not equals or not key.strip() or not all(values):
        raise StudyError(f"--over takes key=value,value,..., such as training.l1=0,0.001; it was given {text!r}.")
    if len(set(values)) < len(values):
        raise StudyError(f"--over {key}: a value is listed twice.")
    return tuple(f"{key.strip()}={value}" for value in values)


def _split(text: str) -> Iterator[str]:
    """At commas outside of brackets and quotes: --over task.network.hidden=[4],[8,8]."""
    depth, quote, part = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += 0 if quote else (letter in OPENING) - (letter in CLOSING)
        if letter == "," and depth == 0 and not quote:
            yield part
            part = ""
        else:
            part += letter
    yield part
