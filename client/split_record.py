"""Who is in which part of a hospital's data, kept by the hospital from the start of a run to its end.

A run that goes on after patients came, left or were placed elsewhere would score as unseen whoever it has trained on.
So each hospital keeps, in its own folder, where every person was placed when the run began, and says to the
coordinator one word of 64 digits that changes when any of this does and tells nothing else: a keyed hash, whose key
never leaves. What does not fit is refused, by the coordinator before it goes on and by the hospital in every round.

Where the study promises that nobody learns whether one person more or less is there, the word stays the same and
nothing is refused: there a place follows from a person's name and the seed alone, and nobody moves when others do.

Where the change is accepted, whoever has a place keeps it, also one who left and comes back, and only persons who
were never there are placed anew: nobody who trained is ever scored as test.

A person who withdrew (`client.withdrawn`) is no such change. The hashes that are kept of each person stand in for
theirs: the word stays the same, everybody else keeps their place, and nothing of theirs is read again.
"""

from __future__ import annotations

import hmac
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any, cast

from flwr.app import ConfigRecord, Context

from client.atomic_write import write_durably
from client.hospital import Hospital
from client.protocol_context import outlives_power
from client.sources._persons import person_named
from client.splitting import UNLABELLED, held_by_person
from client.state_store import RECORD, key_of
from common.errors import DataChangedError, FileError, HospitalError
from common.files.access import is_there, names, private_folder, write
from common.files.json_files import read_table
from common.study.study import Study
from common.wire.train_requests import SPLITS

FILE = "split.json"
KEY_BYTES = 32
_AsItIs = tuple[int, int, int]
PLACES = (*SPLITS, UNLABELLED)
WHOLE = b"token of "
HEADS_REMEMBERED = 4096
"""Hospitals of one process whose splits are not read for every request."""


@dataclass(frozen=True)
class KeptPerson:
    """place: the part. cases: how many. held: keyed hash of what is held of the person, "" who is not there any more.

    form: keyed hash of the name in the form that stands for all ways of writing it.
    """

    place: str
    cases: int
    held: str
    form: str


Persons = Mapping[str, KeptPerson]
"""By the keyed hash of the name."""


@dataclass(frozen=True)
class _Unread(Mapping[str, KeptPerson]):
    """Persons of a split that is kept in a folder, read when one of them is asked for.

    Every request asks for the split's word, and hardly any for its persons, who may be tens of thousands.
    """

    place: Path

    @cached_property
    def _read(self) -> Persons:
        return _kept_in(self.place).persons

    def __getitem__(self, name: str) -> KeptPerson:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


@dataclass(frozen=True)
class KeptSplit:
    """persons: whom there ever was in this run. token: of the data.

    pinned: whether persons keep their places instead of those that the study's split would give them.
    """

    key: bytes = field(repr=False)
    token: str
    pinned: bool = False
    persons: Persons = field(default_factory=dict, repr=False)

    def place_of(self, person: str) -> str | None:
        """Where this person is, if this run has ever had it."""
        kept = self.persons.get(_hashed(self.key, person))
        return None if kept is None else kept.place

    def of(self, withdrawn: Iterable[str]) -> Persons:
        """Those who were there and withdrew. withdrawn: names in one form."""
        forms = {_hashed(self.key, name) for name in withdrawn}
        if not forms:
            return {}
        return {name: one for name, one in self.persons.items() if one.form in forms and one.held}

    @property
    def counted(self) -> Mapping[str, tuple[int, int]]:
        """Patients and cases of every part, with those who withdrew since: as told, and as noise is worked out by."""
        there = [one for one in self.persons.values() if one.held]
        parts = {name: [one.cases for one in there if one.place == name] for name in SPLITS}
        return {name: (len(cases), sum(cases)) for name, cases in parts.items()}

    @cached_property
    def identity(self) -> str:
        """Equal for equal places."""
        places = sorted((name, one.place) for name, one in self.persons.items())
        return sha256(json.dumps([self.key.hex(), places]).encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeptSplit) and (self.identity, self.pinned) == (other.identity, other.pinned)


@dataclass(frozen=True)
class SplitKeeper:
    """The split of one hospital in one run. folder: the hospital's own; without one the context's memory is used."""

    context: Context
    folder: Path | None
    study_json: str
    run: str

    def read(self) -> KeptSplit | None:
        """As it was kept; None where the run is new. Raises HospitalError where it is damaged."""
        if self.folder is None:
            record = self.context.state.get(self._name)
            return KeptSplit(self._public_key, str(record["token"])) if isinstance(record, ConfigRecord) else None
        if not is_there(self._place, FILE):
            return None
        return _heads.of(self._place)

    def begin(self, hospital: Hospital) -> KeptSplit:
        """Keep the split as it is."""
        key = self._public_key if self.folder is None else token_bytes(KEY_BYTES)
        persons = {} if self.folder is None else _persons(key, hospital)
        return self._write(KeptSplit(key, token_of(key, hospital), persons=persons))

    def accept(self, kept: KeptSplit, hospital: Hospital) -> KeptSplit:
        """Keep everybody's place, and give whoever is new the one that the split gives. The token is still the old.

        Raises HospitalError where nothing was kept that could hold anybody to a place.
        """
        if self.folder is None:
            raise HospitalError(
                "this hospital has no folder, and so does not know who trained before: changed data can be accepted "
                "where hospitals keep a folder, as on the engines 'inline' and 'processes'. Start a new run."
            )
        return KeptSplit(kept.key, kept.token, True, {**_persons(kept.key, hospital), **kept.persons})

    def seal(self, kept: KeptSplit, hospital: Hospital, gone: Persons) -> KeptSplit:
        """Keep what was accepted, of the hospital as it is now. gone: those who withdrew."""
        left = {name: replace(one, held="") for name, one in kept.persons.items()}
        persons = {**left, **gone, **_persons(kept.key, hospital)}
        return self._write(KeptSplit(kept.key, token_of(kept.key, hospital, gone), kept.pinned, persons))

    def _write(self, kept: KeptSplit) -> KeptSplit:
        if self.folder is None:
            self.context.state[self._name] = ConfigRecord({"token": kept.token})
            return kept
        durable = outlives_power(self.context)
        private_folder(self._place, durable=durable)
        persons = {name: [one.place, one.cases, one.held, one.form] for name, one in kept.persons.items()}
        about = {"key": kept.key.hex(), "token": kept.token, "pinned": kept.pinned, "persons": persons}
        data = json.dumps(about).encode()
        if durable:
            write_durably(self._place / FILE, data)
        else:  # of thousands in one process that end with their run: nobody else writes there
            write(self._place, FILE, data)
            _heads.note(self._place, kept)
        return kept

    @property
    def _place(self) -> Path:
        assert self.folder is not None
        return self.folder / RECORD / key_of(self.study_json, self.run)

    @property
    def _name(self) -> str:
        return f"split/{key_of(self.study_json, self.run)}"

    @property
    def _public_key(self) -> bytes:
        """No patient is behind a hospital without a folder: it is simulated."""
        return sha256(f"split {self.run}".encode()).digest()


class _Heads:
    """What is kept in folders, its persons left unread, as long as their files are what they were."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[_AsItIs, KeptSplit]] = OrderedDict()

    def of(self, place: Path) -> KeptSplit:
        """Raises HospitalError where it is damaged."""
        if place not in self._kept or self._kept[place][0] != _as_it_is(place):
            self.note(place, _kept_in(place))
        self._kept.move_to_end(place)
        return self._kept[place][1]

    def note(self, place: Path, kept: KeptSplit) -> None:
        """Say what is kept there."""
        self._kept[place] = _as_it_is(place), replace(kept, persons=_Unread(place))
        while len(self._kept) > HEADS_REMEMBERED:
            self._kept.popitem(last=False)


_heads = _Heads()


def _as_it_is(place: Path) -> _AsItIs:
    """Of the file, which is replaced when it changes."""
    found = (place / FILE).lstat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _kept_in(place: Path) -> KeptSplit:
    """Raises HospitalError where it is damaged."""
    try:
        return _parsed(read_table(place, FILE))
    except (FileError, KeyError, ValueError, TypeError) as error:
        raise HospitalError(f"{place / FILE} is damaged: the run cannot go on here.") from error


def runs_with(folder: Path, person: str) -> int:
    """In how many runs kept in a hospital's folder a person is, by the name in one form; damaged ones left out."""
    found = 0
    for run in names(folder, RECORD):
        with suppress(FileError, KeyError, ValueError, TypeError):
            found += bool(_parsed(read_table(folder, f"{RECORD}/{run}/{FILE}")).of([person]))
    return found


def hides_changes(study: Study) -> bool:
    """Whether that one person came or left is what the study's noise is to hide."""
    return study.preprocessing.is_personal and study.federation.expected_patients is not None


def demand_unchanged(kept: KeptSplit, hospital: Hospital, gone: Persons) -> None:
    """Raise DataChangedError unless the data are those that the run began with, or whose change was accepted.

    gone: those who withdrew, which is no change.
    """
    if not hmac.compare_digest(kept.token, token_of(kept.key, hospital, gone)):
        raise DataChangedError("this hospital's data changed since the run began; nothing is answered from them.")


def token_of(key: bytes, hospital: Hospital, gone: Persons | None = None) -> str:
    """64 hexadecimal digits: who is in which part, with how many cases, and what the labels are.

    gone: those who withdrew; they are taken for there. Without any it is worked out once, as persons' hashes are:
    every request asks for it, and it takes time that grows with the persons of the hospital.
    """
    if gone:
        return _token(key, hospital, {**gone, **_persons(key, hospital)})
    name = WHOLE + key
    if name not in hospital.hashes:
        hospital.hashes[name] = _token(key, hospital, _persons(key, hospital))
    return str(hospital.hashes[name])


def _token(key: bytes, hospital: Hospital, persons: Persons) -> str:
    held = sorted((name, one.place, one.cases, one.held) for name, one in persons.items())
    said = json.dumps([list(hospital.train.classes), held])
    return hmac.new(key, said.encode(), sha256).hexdigest()


def _persons(key: bytes, hospital: Hospital) -> Persons:
    if key not in hospital.hashes:
        hospital.hashes[key] = {
            _hashed(key, person): KeptPerson(name, count, _hashed(key, held), _hashed(key, person_named(person)))
            for name, cases in hospital.everybody.items()
            for person, (count, targets) in held_by_person(cases).items()
            for held in [f"{person}\0{name}\0{count}\0{targets.hex()}"]
        }
    return cast(Persons, hospital.hashes[key])


def _hashed(key: bytes, person: str) -> str:
    return hmac.digest(key, person.encode(), "sha256").hex()[:32]


def _parsed(table: Mapping[str, Any]) -> KeptSplit:
    persons = {str(name): KeptPerson(*one) for name, one in table["persons"].items()}
    if not all(one.place in PLACES and type(one.cases) is int for one in persons.values()):
        raise ValueError
    return KeptSplit(bytes.fromhex(table["key"]), str(table["token"]), table["pinned"] is True, persons)
