"""What a hospital answered of its data before, on its own disk: by which later questions are judged.

*Exact tables*, in words, and of which state of the data they were. Exact answers of two states differ by whoever
came, left or was corrected between them: after a change no exact question is answered, by this or another study,
until the hospital's people say that the time before is forgotten (`since` in policy.toml); and none by a study that
takes other persons here, as where another column makes their rows unusable. That is the one thing that a refusal
tells of the data: that they changed, as `resume` tells it as well. Of an exact question every query is counted:
whoever says other totals than were told gets other queries, and no more than the policy has.

*Noisy numbers*, so that the same question is answered by the same numbers and charged once: repeating it averages
nothing out. A share of noise that others' complete is given again for the same hospitals only; of two sums over
different ones, the difference would hold it alone.

Files are for the hospital's user alone. One that cannot be read stops every answer: nothing is forgotten by damage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from hashlib import sha256
from typing import Any

import numpy as np

from client.asking.asked import Asked, Place
from client.atomic_write import write_durably
from common.asking.differences import ExactTable
from common.asking.exact_sums import Integers, Part, object_array
from common.asking.predicates import parse_again
from common.asking.records import Records
from common.errors import FileError, HospitalError, StudyError
from common.files.access import appending, if_there, names, private_folder, read_text
from common.files.json_files import json_of, table_of
from common.learning.label_draw import LabelDraw

FOLDER, LOCK, TABLES = "answered-questions", "answered-questions.lock", "exact"
LARGEST_BYTES = 1 << 26
FORMAT = 1
State = Mapping[str, str]
"""Of the data that an answer was given of: digests by column."""


@dataclass(frozen=True)
class ExactAnswer:
    """A table that was told as it is. state: of the data. day: ISO. question, queries: their digests."""

    question: str
    table: ExactTable
    state: State
    day: str
    queries: tuple[str, ...]


@dataclass(frozen=True)
class NoisyAnswer:
    """Numbers by query, of a question that was charged once."""

    question: str
    day: str
    queries: Mapping[str, Mapping[str, list[str]]]


def state_of(records: Records) -> State:
    """SHA-256 of whose rows there are, under "", and of every column of theirs, in whatever order rows come."""
    persons = records.persons.tolist()
    found = {"": _digest(persons)}
    for name in records.columns:
        words = records.words(name).tolist()
        found[name] = _digest(f"{person}\x1f{word}" for person, word in zip(persons, words, strict=True))
    return found


def same_data(one: State, other: State) -> bool:
    """Whether two states are of the same rows, and agree in the columns that both have: studies name others."""
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _digest(words: Iterable[str]) -> str:
    return sha256("\x1e".join(sorted(words)).encode("utf-8", "replace")).hexdigest()


def question_digest(asked: Asked) -> str:
    """Of what is asked, whatever it is called."""
    return sha256(asked.text.encode()).hexdigest()


def query_digest(asked: Asked) -> str:
    """Of one of its queries."""
    query = asked.query
    parts = sorted((name, part.kind, part.shape, part.most_by_one) for name, part in query.parts.items())
    tells = sorted(
        (name, told if isinstance(told, tuple) else np.asarray(told).tolist()) for name, told in query.tells.items()
    )
    return sha256(json.dumps([asked.number, query.step, parts, tells]).encode()).hexdigest()


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Other processes of this hospital wait: a question is decided, charged and remembered in one."""
    with appending(place.folder, LOCK) as lock:
        flock(lock, LOCK_EX)
        yield


def exact_answers(place: Place, since: str = "") -> tuple[ExactAnswer, ...]:
    """Of the same data. since: leave out what is older than this day. Raises HospitalError for a damaged file."""
    table = _read(place, f"{TABLES}-{_of_data(place)}.json")
    if not table:
        return ()
    try:
        found = tuple(
            ExactAnswer(one["question"], _table(one), _state(one["state"]), one["day"], tuple(one["queries"]))
            for one in table["answers"]
        )
    except (LookupError, TypeError, ValueError, StudyError) as error:
        raise _damaged() from error
    return tuple(one for one in found if one.day >= since)


def keep_exact(place: Place, asked: Asked, table: ExactTable, state: State) -> None:
    """On the disk when this returns, and only then may the answer leave."""
    every, question, query = exact_answers(place), question_digest(asked), query_digest(asked)
    own = next((one for one in every if (one.question, one.state) == (question, state)), None)
    if own is not None and query in own.queries:
        return
    queries = (*(own.queries if own else ()), query)
    kept = ExactAnswer(question, table, state, own.day if own else _today(), queries)
    answers = (*(one for one in every if one is not own), kept)
    rows = [
        {"question": one.question, "name": one.table.name, "where": one.table.where.text, "by": one.table.by}
        | {"also": [[column, list(words)] for column, words in one.table.also]}
        | {"drawn": None if one.table.label_draw is None else asdict(one.table.label_draw)}
        | {"state": dict(one.state), "day": one.day, "queries": list(one.queries)}
        for one in answers
    ]
    _write(place, f"{TABLES}-{_of_data(place)}.json", {"answers": rows})


def noisy_key(place: Place, asked: Asked, state: State) -> str:
    """Names what must be given again: the question, of the same data, with the same noise."""
    noise = asked.noise
    assert noise is not None
    sites = sorted(asked.sites) if noise.shares > 1 else []
    said = [place.data, sorted(state.items()), asked.text, repr(noise), sites]
    return sha256(json.dumps(said).encode()).hexdigest()


def noisy_answer(place: Place, key: str) -> NoisyAnswer | None:
    """What was answered; None for a question that was never charged. Raises HospitalError for a damaged file."""
    table = _read(place, _noisy_name(place, key))
    if not table:
        return None
    try:
        return NoisyAnswer(str(table["question"]), str(table["day"]), dict(table["queries"]))
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged() from error


def keep_noisy(place: Place, key: str, asked: Asked, sums: Mapping[str, Integers]) -> None:
    """On the disk when this returns, beside the other queries of the question."""
    before = noisy_answer(place, key)
    numbers = {name: [f"{value:x}" for value in values.ravel().tolist()] for name, values in sums.items()}
    queries = {**(before.queries if before else {}), query_digest(asked): numbers}
    day = before.day if before else _today()
    _write(place, _noisy_name(place, key), {"question": question_digest(asked), "day": day, "queries": queries})


def again(answer: NoisyAnswer | None, asked: Asked) -> dict[str, Integers] | None:
    """The numbers of this very query, where it was answered. Raises HospitalError for a damaged file."""
    numbers = answer.queries.get(query_digest(asked)) if answer else None
    if numbers is None:
        return None
    try:
        return {name: _integers(numbers[name], part) for name, part in asked.query.parts.items()}
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged() from error


def questions_answered(place: Place, since: str = "") -> frozenset[str]:
    """Digests of all different questions that were answered of the same data."""
    start = f"noisy-{_of_data(place)}-"
    found = {one.question for one in exact_answers(place, since)}
    for name in names(place.folder, FOLDER):
        if name.startswith(start):
            answer = noisy_answer(place, name.removeprefix(start).removesuffix(".json"))
            found |= {answer.question} if answer and answer.day >= since else set()
    return frozenset(found)


def _integers(numbers: list[str], part: Part) -> Integers:
    values = [int(one, 16) for one in numbers]
    if len(values) != part.size:
        raise ValueError("another number of numbers")
    return object_array(values, part.shape)


def _table(row: Mapping[str, Any]) -> ExactTable:
    where = parse_again(str(row["where"]))
    also = tuple((str(column), tuple(map(str, words))) for column, words in row["also"])
    drawn = row.get("drawn")
    return ExactTable(str(row["name"]), where, str(row["by"]), also, None if drawn is None else LabelDraw(**drawn))


def _state(table: object) -> State:
    if not isinstance(table, dict) or "" not in table:
        raise TypeError("no state of data")
    return {str(name): str(digest) for name, digest in table.items()}


def _of_data(place: Place) -> str:
    return sha256(place.data.encode()).hexdigest()[:16]


def _noisy_name(place: Place, key: str) -> str:
    return f"noisy-{_of_data(place)}-{key}.json"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _read(place: Place, name: str) -> dict[str, Any]:
    try:
        text = if_there(read_text, place.folder, f"{FOLDER}/{name}", LARGEST_BYTES)
        if text is None:
            return {}
        table = table_of(json_of(text, place.folder / FOLDER / name), place.folder / FOLDER / name)
    except FileError as error:
        raise _damaged() from error
    if table.get("format") != FORMAT:
        raise _damaged()
    return table


def _write(place: Place, name: str, table: Mapping[str, Any]) -> None:
    private_folder(place.folder, FOLDER, durable=True)
    text = json.dumps({"format": FORMAT, **table}, ensure_ascii=False)
    write_durably(place.folder / FOLDER / name, text.encode())


def _damaged() -> HospitalError:
    return HospitalError(
        f"what is kept of answered questions ({FOLDER} in the hospital's folder) is not as it was written: put a "
        "copy back. Until then no question is answered."
    )
