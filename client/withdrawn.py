"""Persons who withdrew from a hospital's studies: a list in its own folder, read before every request is answered.

Whoever is on it takes part in nothing from the next round on, in any study. The list holds names in the one form that
stands for all ways of writing them, and dates; whoever consents again is struck off and both dates stay. It is for
the hospital's user alone, and nothing of it is ever sent. A list that cannot be read stops the hospital's answers:
nobody takes part again because a file was damaged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import numpy as np

from client.atomic_write import write_durably
from client.sources._persons import person_named
from common.data.cases import Cases
from common.errors import FileError, HospitalError
from common.files.access import appending, is_there
from common.files.json_files import read_table

FILE, LOCK = "withdrawn.json", "withdrawn.lock"
FORMAT = 1
LONGEST_NAME = 1024
PERSONS = "persons"
"""A column of cases that are of several persons each, one a line, such as two who are laid on each other."""


@dataclass(frozen=True)
class Withdrawal:
    """person: in one form. since: the day. again: the day of a new consent, "" while there is none."""

    person: str
    since: str
    again: str = ""


def withdrawals(folder: Path | None) -> tuple[Withdrawal, ...]:
    """All that were ever written down, in order. Raises HospitalError where the list is not as it was written."""
    if folder is None:
        return ()
    try:
        return _parsed(read_table(folder, FILE)) if is_there(folder, FILE) else ()
    except (FileError, LookupError, TypeError, ValueError) as error:
        raise HospitalError(
            f"{folder / FILE}, the list of who withdrew, is not as it was written: put a copy back. Until then "
            f"nothing is answered ({error})."
        ) from error


def withdrawn(folder: Path | None) -> frozenset[str]:
    """Who takes part in nothing now, in one form."""
    return frozenset(one.person for one in withdrawals(folder) if not one.again)


def withdraw(folder: Path, person: str, day: date) -> bool:
    """Write a person down, on the disk when this returns; False where they are on the list. Raises HospitalError."""
    with _alone(folder):
        found = withdrawals(folder)
        if any(one.person == person and not one.again for one in found):
            return False
        _write(folder, (*found, Withdrawal(person, day.isoformat())))
    return True


def consent_again(folder: Path, person: str, day: date) -> bool:
    """Strike a person off, and keep both days; False where they are not on the list. Raises HospitalError."""
    with _alone(folder):
        found = withdrawals(folder)
        struck = tuple(
            replace(one, again=day.isoformat()) if one.person == person and not one.again else one for one in found
        )
        if struck == found:
            return False
        _write(folder, struck)
    return True


def without(cases: Cases, persons: frozenset[str]) -> Cases:
    """The cases of everybody else: all scans and sessions of a person go, those that hold another too as well."""
    if not persons:
        return cases
    whose = cases.array(PERSONS if PERSONS in cases.columns else "patients")
    gone = [name for name in np.unique(whose).tolist() if not persons.isdisjoint(map(person_named, name.split("\n")))]
    return cases.take(np.flatnonzero(~np.isin(whose, gone))) if gone else cases


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two who write at once do so one after the other."""
    try:
        with appending(folder, LOCK) as lock:
            flock(lock, LOCK_EX)
            yield
    except FileError as error:
        raise HospitalError(f"the list of who withdrew was not changed: {error}") from error


def _write(folder: Path, found: tuple[Withdrawal, ...]) -> None:
    table = {"format": FORMAT, "withdrawn": [asdict(one) for one in found]}
    write_durably(folder / FILE, json.dumps(table, ensure_ascii=False, indent=1).encode())


def _parsed(table: Mapping[str, Any]) -> tuple[Withdrawal, ...]:
    if table["format"] != FORMAT or not isinstance(table["withdrawn"], list):
        raise ValueError("another format")
    return tuple(_checked(Withdrawal(**one)) for one in table["withdrawn"])


def _checked(one: Withdrawal) -> Withdrawal:
    if not all(isinstance(word, str) for word in (one.person, one.since, one.again)):
        raise TypeError("a name or a day that is no word")
    if not one.person or len(one.person) > LONGEST_NAME or person_named(one.person) != one.person:
        raise ValueError("a name that is not in one form")
    for day in filter(None, (one.since, one.again)):
        date.fromisoformat(day)
    return one
