"""What a hospital keeps between rounds, in itself: in its own folder where it has one, else in the context.

State follows the opening. What a round leaves is kept by its number, apart for every study, and the next round starts
from the last one kept before it; so a round that is asked for again starts where it started the first time. Where the
study's sums are opened by the hospitals, what a round leaves waits in one place of its own, on the disk before the
answer goes out, until the hospital sees the round opened or is shown a proof of it (`common.sums.opening_proof`); the
next round that is trained takes that place, and a round that was never opened is then gone without a trace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context
from safetensors.numpy import save

from client.atomic_write import rename_durably, write_durably
from common.errors import FileError, HospitalError
from common.files.access import if_there, names, private_folder
from common.files.tensor_files import SUFFIX, read_tensors
from common.study.resumption import bound
from common.sums.update import Vector

RECORD, PENDING, ABOUT = "memory", "pending", "pending/about"
SECRETS = "secrets"
TIDIED = "tidied"
"""Marks a run whose state was removed because nobody asked for it for long (`client.tidying`)."""
RUNS_WITH_SECRETS = 8
"""Runs whose rounds may be under way at once in one process; the secrets of one that was left go at last."""
STUDIES_REMEMBERED = 16
"""Whose keys are not worked out anew for every request."""
ROUNDS_KEPT = 3
"""A round that was cut short leaves a memory that the resumed run must not start from: the one before is kept too,
and one more, since a round is taken back in the next one, which is then gone as well."""
Vectors = Mapping[str, Vector]


@dataclass
class Memory:
    """One hospital's state in one round of one study. vectors: as the round found them, and as it leaves them.

    base: the round that left what was found. taken_back: rounds that count for nothing.
    """

    number: int
    place: _Place
    vectors: MutableMapping[str, Vector]
    base: int = 0
    taken_back: tuple[int, ...] = ()
    _before: Vectors = field(init=False)
    _awaited: bytes | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._before = dict(self.vectors)

    @classmethod
    def of(cls, context: Context, study_json: str, run: str, number: int, taken_back: tuple[int, ...] = ()) -> Memory:
        """As it was before round `number` of this run of this study."""
        folder, study = context.node_config.get("folder"), key_of(study_json, run)
        place: _Place = _Folder(Path(str(folder)) / RECORD / study) if folder else _InContext(context, study)
        earlier = [kept for kept in place.kept() if kept < number and kept not in taken_back]
        if not earlier:
            return cls(number, place, {}, taken_back=taken_back)
        return cls(number, place, place.read(earlier[-1]), earlier[-1], taken_back)

    def keep(self) -> None:
        """On the disk when it returns: what this round left, to wait where it was held back. Else nothing."""
        if all(self.vectors[name] is self._before.get(name) for name in self.vectors):
            return
        if self._awaited is not None:
            self.place.write_pending(self.number, self._awaited, self.vectors)
            return
        self.place.write(self.number, self.vectors)
        self._forget_others(self.number)

    def hold(self, awaited: bytes) -> None:
        """See Keeping."""
        self._awaited = awaited

    def held(self, number: int) -> bytes | None:
        """See Keeping."""
        pending = self.place.pending()
        return pending[1] if pending is not None and pending[0] == number else None

    def commit(self, number: int) -> None:
        """See Keeping."""
        if self.held(number) is not None:
            self.place.commit(number)
            self._forget_others(number)

    def _forget_others(self, number: int) -> None:
        """All but round `number` and those before it: what later rounds left is of an earlier run of this study."""
        kept = self.place.kept()
        before = [one for one in kept if one <= number and one not in self.taken_back]
        for one in set(kept) - set(before[-ROUNDS_KEPT:]):
            self.place.forget(one)


@lru_cache(maxsize=STUDIES_REMEMBERED)
def key_of(study_json: str, run: str) -> str:
    """What sets a run's memory apart: what binds it of its study, since one made longer goes on."""
    return sha256(json.dumps([run, bound(json.loads(study_json))], sort_keys=True).encode()).hexdigest()


class _Place(Protocol):
    """Where vectors are kept by the number of the round that left them, and where one round's wait."""

    def kept(self) -> list[int]:
        """Rounds, sorted."""
        ...

    def read(self, number: int) -> dict[str, Vector]: ...

    def write(self, number: int, vectors: Vectors) -> None: ...

    def forget(self, number: int) -> None: ...

    def pending(self) -> tuple[int, bytes] | None:
        """Whose vectors wait, and for what."""
        ...

    def write_pending(self, number: int, awaited: bytes, vectors: Vectors) -> None: ...

    def commit(self, number: int) -> None: ...


@dataclass(frozen=True)
class _Folder:
    path: Path

    def kept(self) -> list[int]:
        kept = [Path(name) for name in names(self.path)]
        if Path(TIDIED) in kept:
            raise HospitalError("what this run kept here was tidied away after half a year; it cannot go on.")
        return sorted(int(one.stem) for one in kept if one.suffix == SUFFIX and one.stem.isdecimal())

    def read(self, number: int) -> dict[str, Vector]:
        return read_tensors(self.path, self._file(number).name).tensors

    def write(self, number: int, vectors: Vectors) -> None:
        self._write(self._file(number), vectors, {})

    def forget(self, number: int) -> None:
        self._file(number).unlink(missing_ok=True)

    def pending(self) -> tuple[int, bytes] | None:
        try:
            waiting = if_there(read_tensors, self.path, self._pending.name)
            return None if waiting is None else (int(waiting.words["round"]), bytes.fromhex(waiting.words["awaited"]))
        except (FileError, KeyError, ValueError) as error:
            raise HospitalError(f"{self._pending} is damaged: remove it; the round it is of is lost.") from error

    def write_pending(self, number: int, awaited: bytes, vectors: Vectors) -> None:
        self._write(self._pending, vectors, {"round": str(number), "awaited": awaited.hex()})

    def commit(self, number: int) -> None:
        rename_durably(self.path, self._pending.name, self._file(number).name)

    @property
    def _pending(self) -> Path:
        return self.path / f"{PENDING}.safetensors"

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.safetensors"

    def _write(self, path: Path, vectors: Vectors, about: Mapping[str, str]) -> None:
        private_folder(self.path, durable=True)
        write_durably(path, save({name: np.ascontiguousarray(one) for name, one in vectors.items()}, dict(about)))


@dataclass(frozen=True)
class _InContext:
    """Where there is no folder, as in Flower's simulation: lost with the run, and so is a round's repeat after it."""

    context: Context
    study: str

    def kept(self) -> list[int]:
        start = self._key("")
        names = [name.removeprefix(start) for name in self.context.state if name.startswith(start)]
        return sorted(int(name) for name in names if name.isdigit())

    def read(self, number: int) -> dict[str, Vector]:
        record = self.context.state[self._key(number)]
        assert isinstance(record, ArrayRecord)
        return {name: np.frombuffer(array.data, dtype="<f4").copy() for name, array in record.items()}

    def write(self, number: int, vectors: Vectors) -> None:
        self.context.state[self._key(number)] = ArrayRecord({name: _array(one) for name, one in vectors.items()})

    def forget(self, number: int) -> None:
        del self.context.state[self._key(number)]

    def pending(self) -> tuple[int, bytes] | None:
        about = self.context.state.get(self._key(ABOUT))
        if not isinstance(about, ConfigRecord):
            return None
        number, awaited = about["round"], about["awaited"]
        assert isinstance(number, int) and isinstance(awaited, bytes)
        return number, awaited

    def write_pending(self, number: int, awaited: bytes, vectors: Vectors) -> None:
        self.context.state[self._key(ABOUT)] = ConfigRecord({"round": number, "awaited": awaited})
        self.context.state[self._key(PENDING)] = ArrayRecord({name: _array(one) for name, one in vectors.items()})

    def commit(self, number: int) -> None:
        self.context.state[self._key(number)] = self.context.state[self._key(PENDING)]
        for name in (PENDING, ABOUT):
            del self.context.state[self._key(name)]

    def _key(self, name: str | int) -> str:
        return f"{RECORD}/{self.study}/{name}"


def recall_secrets(context: Context, study_json: str, run: str) -> dict[str, bytes]:
    """What a protocol keeps from leg to leg of a run; in the node's memory only, never on a disk."""
    record = context.state.get(_secrets_of(study_json, run))
    if not isinstance(record, ConfigRecord):
        return {}
    return {name: value for name, value in record.items() if isinstance(value, bytes)}


def keep_secrets(context: Context, study_json: str, run: str, secrets: Mapping[str, bytes]) -> None:
    """Keep exactly these of a run, and those of the other RUNS_WITH_SECRETS - 1 that were used last."""
    own = _secrets_of(study_json, run)
    if own in context.state:
        del context.state[own]
    if secrets:
        context.state[own] = ConfigRecord(dict(secrets))
    kept = [name for name in context.state if name.startswith(f"{SECRETS}/")]
    for name in kept[:-RUNS_WITH_SECRETS]:
        del context.state[name]


def _secrets_of(study_json: str, run: str) -> str:
    return f"{SECRETS}/{key_of(study_json, run)}"


def _array(vector: Vector) -> Array:
    return Array(dtype="float32", shape=vector.shape, stype="raw", data=vector.astype("<f4").tobytes())
