"""Training, validation and test cases, divided by person and stable under re-ordering of files."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases
from common.study.split_settings import Split
from common.wire.train_requests import SPLITS

DIGESTED_VALUES = 4096
UNLABELLED = "unlabelled"
"""Place of a training person whose labels a study does not use."""


class Places(Protocol):
    """Where persons already are; hashable, since what is split by them is kept warm."""

    def __hash__(self) -> int: ...

    def place_of(self, person: str) -> str | None:
        """ "train", "validation", "test" or UNLABELLED; None for a person who was never there."""
        ...


def split(
    cases: Cases, shares: Split, seed: int, places: Places | None = None, part: str | None = None
) -> Mapping[str, Cases]:
    """The cases of "train", "validation" and "test"; no patient is in two of them.

    Every patient has a number in [0, 1) by SHA-256 of (seed, patient). With `shares.assignment` "independent" that
    number is compared with the shares: whoever else is there changes nothing, a hospital may get no case of a part,
    and one person has the same place at every hospital. Otherwise patients are ranked by it and the ranking is cut
    at the shares, rounded; at least one patient trains, unless the shares leave nobody.

    Where the data set prescribes a split it is kept, and only what it does not name (validation, most often) is cut
    from its training patients.

    places: of a run that goes on with data that changed; whoever has a place there keeps it. part: the one that all
    of them are in, whatever else would place them (`common.study.held_out`).
    """
    if part is not None:
        return {name: cases if name == part else cases.take(np.array([], np.int64)) for name in SPLITS}
    given = _given(cases)
    free = [patient for patient in _ranked(np.unique(cases.patients), seed) if given.get(patient, "train") == "train"]
    if shares.assignment == "independent":
        cut = _placed(free, shares, set(cases.prescribed), seed)
    else:
        cut = _cut(free, shares, {*cases.prescribed, *given.values()})
    of_patient = {patient: given[patient] for patient in given if given[patient] != "train"} | cut
    if places is not None:
        of_patient = {patient: _part(places.place_of(patient)) or part for patient, part in of_patient.items()}
    names = np.array([of_patient[str(patient)] for patient in cases.patients], dtype="<U10")
    return {name: cases.take(np.flatnonzero(names == name)) for name in SPLITS}


def _part(place: str | None) -> str | None:
    return "train" if place == UNLABELLED else place


def held_by_person(cases: Cases) -> dict[str, tuple[int, bytes]]:
    """Of every person the number of cases, and SHA-256 of what they hold; in which order they lie is all one.

    Labels, masks and all other columns count whole; of inputs of more than DIGESTED_VALUES those in the middle, for
    nobody waits until gigabytes of images are read.
    """
    found: dict[str, list[bytes]] = {}
    for person, digest in zip(cases.patients.tolist(), _digests_of_cases(cases), strict=True):
        found.setdefault(person, []).append(digest)
    return {person: (len(own), sha256(b"".join(sorted(own))).digest()) for person, own in found.items()}


def _digests_of_cases(cases: Cases) -> list[bytes]:
    found = [sha256() for _ in range(len(cases))]
    for name, column in sorted(cases.columns.items()):
        if name == "consent":  # what a person allows is told by who is there
            continue
        pieces = cases.pieces(name)
        for one, value in zip(found, pieces if column.item else next(pieces), strict=True):
            one.update(_digested(value, name))
    return [one.digest() for one in found]


def _digested(value: NDArray[Any], name: str) -> bytes:
    about = f"{name}{value.shape}{value.dtype.kind}".encode()
    if value.dtype.kind == "U":
        return about + str(value).encode()
    if name == "inputs" and value.size > DIGESTED_VALUES:
        start = (value.size - DIGESTED_VALUES) // 2
        value = np.ascontiguousarray(value).reshape(-1)[start : start + DIGESTED_VALUES]
    return about + value.tobytes()


def _given(cases: Cases) -> dict[str, str]:
    """The prescribed split of every patient; a patient with cases in several goes to the strictest, test first."""
    if cases.given_split is None:
        return {}
    given: dict[str, str] = {}
    for patient, name in zip(cases.patients.tolist(), cases.given_split.tolist(), strict=True):
        given[patient] = max(given.get(patient, "train"), name, key=SPLITS.index)
    return given


def _digest(patient: str, seed: int) -> bytes:
    return sha256(f"{seed}\x1f{patient}".encode()).digest()


def _ranked(patients: np.ndarray[tuple[int], np.dtype[np.str_]], seed: int) -> list[str]:
    """Patients by the digest of their name: no other patient's presence changes the order of two."""
    return sorted(patients.tolist(), key=lambda patient: _digest(patient, seed))


def _placed(free: list[str], shares: Split, prescribed: set[str], seed: int) -> dict[str, str]:
    test = 0.0 if "test" in prescribed else shares.test
    validation = 0.0 if "validation" in prescribed else shares.validation
    return {patient: _place(_digest(patient, seed), test, validation) for patient in free}


def _place(digest: bytes, test: float, validation: float) -> str:
    number = int.from_bytes(digest[:8], "big") / 2**64
    if number < test:
        return "test"
    return "validation" if number < test + validation else "train"


def _cut(ranked: list[str], shares: Split, prescribed: set[str]) -> dict[str, str]:
    count = len(ranked)
    test = 0 if "test" in prescribed else round(shares.test * count)
    validation = 0 if "validation" in prescribed else round(shares.validation * count)
    trained = 0 if shares.test + shares.validation == 1 else 1
    test = min(test, max(count - trained, 0))
    validation = min(validation, max(count - trained - test, 0))
    names = ["test"] * test + ["validation"] * validation + ["train"] * (count - test - validation)
    return dict(zip(ranked, names, strict=True))
