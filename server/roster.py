"""Who takes part, and what each hospital said it holds: the first leg, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from common.cases import Shape, SiteId
from common.errors import RoundError, WireError
from common.exchange import Payload
from common.order import SPLITS

LARGEST_CASES = 10_000_000
LARGEST_INPUT = 1 << 28
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


@dataclass(frozen=True)
class Member:
    """One hospital. cases, patients: by split. labels: training cases (or pixels) of each class."""

    site: SiteId
    cases: Mapping[str, int]
    patients: Mapping[str, int]
    quarantined: int
    labels: tuple[int, ...]
    shape: Shape
    classes: tuple[str, ...]


def member(payload: Payload) -> Member:
    """The hospital a reply describes. Raises WireError naming the failed check."""
    site = payload.words.get("site")
    if not isinstance(site, str) or not _SITE.fullmatch(site):
        raise WireError("a hospital's name must be 1 to 64 letters, digits, spaces, dots, dashes or underscores.")
    classes = payload.words.get("classes")
    if not isinstance(classes, list) or not 2 <= len(classes) <= 1024:
        raise WireError("a hospital must name between 2 and 1024 classes.")
    inputs, labels = _whole_numbers(payload, "shape"), _whole_numbers(payload, "labels")
    if not inputs or min(inputs) < 1 or prod(inputs) > LARGEST_INPUT or len(labels) != len(classes):
        raise WireError("the shape or the label counts a hospital sent are out of range.")
    return Member(
        site,
        {name: _count(payload, f"cases/{name}") for name in SPLITS},
        {name: _count(payload, f"patients/{name}") for name in SPLITS},
        _count(payload, "quarantined"),
        labels,
        Shape(inputs, len(classes)),
        tuple(classes),
    )


def _count(payload: Payload, name: str) -> int:
    value = payload.numbers.get(name)
    if not isinstance(value, int) or not 0 <= value <= LARGEST_CASES:
        raise WireError(f"{name} must be a whole number between 0 and {LARGEST_CASES}.")
    return value


def _whole_numbers(payload: Payload, name: str) -> tuple[int, ...]:
    value = payload.numbers.get(name)
    if not isinstance(value, list) or not all(isinstance(part, int) and part >= 0 for part in value):
        raise WireError(f"{name} must be a list of whole numbers.")
    return tuple(int(part) for part in value)


def check_agreement(members: Mapping[SiteId, Member]) -> None:
    """Raise RoundError, naming two hospitals, where shapes or classes differ: no model fits both."""
    for (a, first), (b, second) in pairwise(sorted(members.items())):
        if first.shape != second.shape or first.classes != second.classes:
            raise RoundError(
                f"{a} holds inputs of shape {first.shape.inputs} in {first.shape.classes} classes, {b} of shape "
                f"{second.shape.inputs} in {second.shape.classes}: one model cannot fit both."
            )
