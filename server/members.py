"""Who takes part, and what each hospital said it holds: the first leg, checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from common.data.cases import Shape, SiteId
from common.data.names import RULE, fault_of
from common.errors import RoundError, WireError
from common.sums.exchange import Payload
from common.wire.pieces import LARGEST_MESSAGE_BYTES
from common.wire.train_requests import (
    COLUMNS,
    HAS_MODEL,
    MEMBERS,
    MEMBERS_KEY,
    MEMBERS_PROOF,
    MEMBERS_SIGNATURE,
    PROGRAM,
    PROGRAM_VERSIONS,
    ROOM,
    SPLITS,
    TOKEN,
    WITHDRAWN,
)

LARGEST_CASES = 10_000_000
LARGEST_INPUT = 1 << 28
MOST_VERSIONS, LONGEST_VERSION = 16, 80
CLASSES_NAMED, LONGEST_CLASS = 4, 100
DIGITS_SHOWN = 8
_DIGEST = re.compile(r"([0-9a-f]{64})?")
_SIGNATURE = re.compile(r"([0-9a-f]{128})?")


@dataclass(frozen=True)
class Member:
    """One hospital. cases, patients: by split. labels: training cases (or pixels) of each class.

    data: what changes when its data do, and tells nothing else; "" where it does not say. withdrawn: how many persons
    withdrew since the run began, as far as it says so. columns: digest of the names of its inputs' columns, or "".
    has_model: digest of the model that the study begins from, where it needs it and was given it before. program:
    digest of what it runs, as it says itself. program_versions: in words. members: digest of its member list,
    where it is enrolled; members_signature: its signature over it, or ""; members_key: its public identity
    key; members_proof: its signature that this node is its own; in hexadecimal. room_bytes: the largest message it
    takes.
    """

    site: SiteId
    cases: Mapping[str, int]
    patients: Mapping[str, int]
    quarantined: int
    labels: tuple[int, ...]
    shape: Shape
    classes: tuple[str, ...]
    data: str = ""
    withdrawn: int = 0
    columns: str = ""
    has_model: str = ""
    program: str = ""
    program_versions: tuple[str, ...] = ()
    members: str = ""
    members_signature: str = ""
    members_key: str = ""
    members_proof: str = ""
    room_bytes: int = LARGEST_MESSAGE_BYTES


def member(payload: Payload) -> Member:
    """The hospital a reply describes. Raises WireError naming the failed check."""
    site = site_of(payload)
    classes = payload.words.get("classes")
    if not isinstance(classes, list) or len(classes) == 1 or len(classes) > 1024:
        raise WireError("a hospital must name between 2 and 1024 classes, or none where it has numbers to learn.")
    if not all(isinstance(name, str) and len(name) <= LONGEST_CLASS and name.isprintable() for name in classes):
        raise WireError(f"names of classes must be at most {LONGEST_CLASS} characters that can be printed.")
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
        _digest(payload, TOKEN),
        withdrawn_of(payload),
        _digest(payload, COLUMNS),
        _digest(payload, HAS_MODEL),
        _digest(payload, PROGRAM),
        _versions(payload),
        members=_digest(payload, MEMBERS),
        members_signature=_signature(payload, MEMBERS_SIGNATURE),
        members_key=_digest(payload, MEMBERS_KEY),
        members_proof=_signature(payload, MEMBERS_PROOF),
        room_bytes=_room(payload),
    )


def demand_room(members: Mapping[SiteId, Member], message_bytes: int) -> None:
    """Raise RoundError, before any model is sent, where a hospital takes no message of that size."""
    lacking = {site: one.room_bytes for site, one in members.items() if one.room_bytes < message_bytes}
    if lacking:
        told = ", ".join(f"{site} {room:,}" for site, room in sorted(lacking.items()))
        raise RoundError(
            f"an order of this study takes up to {message_bytes:,} bytes, more than what these hospitals let in: "
            f"{told}. They change it in their node.toml (largest_message_bytes)."
        )


def _room(payload: Payload) -> int:
    """What is not said, or makes no sense, is what everybody takes."""
    said = payload.numbers.get(ROOM)
    return said if type(said) is int and said > 0 else LARGEST_MESSAGE_BYTES


def site_of(payload: Payload) -> SiteId:
    """The name in a reply. Raises WireError for one that could not be a hospital's."""
    site = payload.words.get("site")
    fault = fault_of(site) if isinstance(site, str) else "is not a word"
    if fault is not None:
        raise WireError(f"a hospital's name must be {RULE}; the one it gives {fault}.")
    return str(site)


def withdrawn_of(payload: Payload) -> int:
    """How many persons withdrew since the run began; 0 where it is not said, or makes no sense."""
    said = payload.numbers.get(WITHDRAWN, 0)
    return said if type(said) is int and 0 <= said <= LARGEST_CASES else 0


def _digest(payload: Payload, name: str) -> str:
    said = payload.words.get(name, "")
    if not isinstance(said, str) or not _DIGEST.fullmatch(said):
        raise WireError("a hospital's word for its data, its model or its program must be 64 hexadecimal digits.")
    return said


def _signature(payload: Payload, name: str) -> str:
    said = payload.words.get(name, "")
    if not isinstance(said, str) or not _SIGNATURE.fullmatch(said):
        raise WireError("a hospital's signature must be 128 hexadecimal digits.")
    return said


def _versions(payload: Payload) -> tuple[str, ...]:
    said = payload.words.get(PROGRAM_VERSIONS, [])
    if not isinstance(said, list) or len(said) > MOST_VERSIONS:
        raise WireError(f"a hospital may name {MOST_VERSIONS} versions of what it runs.")
    if not all(len(one) <= LONGEST_VERSION and one.isprintable() for one in said):
        raise WireError(f"a version must be at most {LONGEST_VERSION} characters that can be printed.")
    return tuple(said)


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


def disagreeing(members: Mapping[SiteId, Member]) -> Mapping[SiteId, str]:
    """Hospitals whose inputs or classes most others do not share, and in what they differ: no model fits both.

    Raises RoundError, naming two, where there is no most: nobody can tell which of them is right.
    """
    forms = Counter(map(_form, members.values()))
    if len(forms) < 2:
        return {}
    (common, most), *others = forms.most_common()
    if others[0][1] == most:
        first, second = (
            next(member for member in members.values() if _form(member) == form) for form in (common, others[0][0])
        )
        raise RoundError(f"{first.site} {_held(first)}, {second.site} {_held(second)}: one model cannot fit both.")
    usual = next(member for member in members.values() if _form(member) == common)
    return {
        site: f"{site} {_held(member)}, and most hospitals, as {usual.site}, {_held(usual).removeprefix('holds ')}"
        for site, member in members.items()
        if _form(member) != common
    }


def _form(member: Member) -> tuple[Shape, tuple[str, ...], str]:
    return member.shape, member.classes, member.columns


def _held(member: Member) -> str:
    inputs = f"holds inputs of shape {member.shape.inputs}"
    if member.columns:
        inputs += (
            f" in columns whose names have the digest {member.columns[:DIGITS_SHOWN]} (source.features names them)"
        )
    if not member.classes:
        return f"{inputs} and numbers to learn, no classes"
    named = ", ".join(member.classes[:CLASSES_NAMED]) + ", ..." * (len(member.classes) > CLASSES_NAMED)
    return f"{inputs} in {len(member.classes)} classes ({named})"
