"""The last round of every run that a hospital answered: rounds go forward only.

A server that could ask for an earlier round again, with another model, would choose what is compared with what. Let
through are the same round with the very same order, as after a crash or where a hospital was lost, and the evaluation
after the last round. A coordinator that restored a backup needs a rewind that the hospital's own people approve.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from client import update_cache
from client.atomic_write import write_durably
from common.errors import FileError, HospitalError, WireError
from common.files.access import if_there, read, write
from common.wire.train_requests import Order

FOLDER = "answered-rounds"
LARGEST_BYTES = 1 << 12


def digest_of(order: Order) -> str:
    """Of everything that an order says, hexadecimal: what decides the update, and what is to be scored."""
    parts = [update_cache.digest_of(order, None), list(order.evaluate), order.control is None]
    return sha256(json.dumps(parts).encode()).hexdigest()


def go_forward(
    folder: Path | None,
    memory: MutableMapping[str, bytes],
    study: str,
    run: str,
    order: Order,
    outlives_power: bool = True,
) -> None:
    """Write the round down before it is answered, where there is a folder there. outlives_power: on the disk.

    Raises WireError where a later round of this run was answered before, or this one with another order.
    """
    digest, key = digest_of(order), f"{FOLDER}/{study}/{run}"
    last = _remembered(memory, key) if folder is None else _read(_file(folder, study, run))
    if last is not None:
        _refuse_back(order.round, digest, *last)
    if last == (order.round, digest):
        return
    text = json.dumps({"round": order.round, "order": digest}).encode()
    if folder is None:
        memory[key] = text
        return
    place = _file(folder, study, run)
    if outlives_power:
        write_durably(place, text)
    else:  # of thousands in one process that end with their run
        write(place.parent, place.name, text)


def was_answered(folder: Path, study: str, run: str) -> bool:
    """Whether any order of the run was answered here. study: its digest."""
    return _read(_file(folder, study, run)) is not None


def last_rounds(folder: Path) -> dict[str, int]:
    """The last round that was answered in any run, by the study's digest. What is damaged is left out."""
    found: dict[str, int] = {}
    for path in sorted((folder / FOLDER).glob("*/*.json")):
        with suppress(FileError, HospitalError):
            last = _read(path)
            if last is not None:
                found[path.parent.name] = max(last[0], found.get(path.parent.name, 0))
    return found


def rewind(folder: Path, study: str, to_round: int) -> int:
    """Let every run of a study go on after round `to_round` once more; how many runs were further.

    For a coordinator that restored a backup, and only by the hospital's own people.
    """
    further = 0
    for path in sorted((folder / FOLDER / study).glob("*.json")):
        last = _read(path)
        if last is not None and last[0] > to_round:
            write_durably(path, json.dumps({"round": to_round, "order": ""}).encode())
            further += 1
    return further


def _refuse_back(number: int, digest: str, last: int, before: str) -> None:
    if number < last:
        raise WireError(f"round {number} was asked for after round {last}; rounds go forward only.")
    if number == last and before != digest:
        raise WireError(f"round {number} was answered before, and another order came for it.")


def _file(folder: Path, study: str, run: str) -> Path:
    return folder / FOLDER / study / f"{run or 'run'}.json"


def _remembered(memory: MutableMapping[str, bytes], key: str) -> tuple[int, str] | None:
    return _parsed(memory[key]) if key in memory else None


def _read(path: Path) -> tuple[int, str] | None:
    text = if_there(read, path.parent, path.name, LARGEST_BYTES)
    return None if text is None else _parsed(text)


def _parsed(text: bytes) -> tuple[int, str]:
    try:
        table = json.loads(text)
        return int(table["round"]), str(table["order"])
    except (ValueError, LookupError, TypeError) as error:
        raise HospitalError(f"what is kept of answered rounds ({FOLDER}) is damaged.") from error
