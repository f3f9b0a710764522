"""Sums of maps that hospitals answered, as whoever coordinates has them: from the folder that the questions left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from common.analyses._probe import words
from common.asking.abilities import maps_read
from common.asking.maps import MapReading
from common.asking.question import Question
from common.data.cases import SiteId
from common.errors import FileError, StudyError, WireError
from common.files.json_files import read_lines, read_table
from common.files.tensor_files import read_tensors
from common.learning.start import Taken
from common.study.options import Entry
from common.wire.questions import read_query, read_total
from server.reporting.values import items, table, text, texts

ANSWERS, QUERIES, MODEL = "answer.json", "queries.jsonl", "start.safetensors"
QUERY = ("step", "parts", "tells")


@dataclass(frozen=True)
class Summed:
    """Of one hospital and class. cases: how many. shares, squares: (blocks,) sums over their maps."""

    cases: int
    shares: NDArray[np.float64]
    squares: NDArray[np.float64]


@dataclass(frozen=True)
class AnsweredMaps:
    """reading: which maps. model: that they are of, by name. classes: in the order of their numbers. epsilon: of the
    answer's noise, 0 where there is none. sums: by hospital, of each class.
    """

    reading: MapReading
    classes: tuple[str, ...]
    epsilon: float
    sums: Mapping[SiteId, tuple[Summed, ...]]
    model: Taken = field(repr=False)


def maps_answered(folder: Path, sites: Sequence[SiteId]) -> AnsweredMaps:
    """Of the first question there whose answer reads maps.

    Raises FileError where a file is damaged, StudyError where there is none or it is of other hospitals.
    """
    answered = items(read_table(folder, ANSWERS, required=True).get("answers"))
    found = [(number, own) for number, one in enumerate(answered) if (own := _question(table(one))) is not None]
    if not found:
        raise StudyError(f"--maps {folder} has no answer to a question of maps, such as 'attribution_maps'.")
    number, question = found[0]
    reading = maps_read(question.build())
    assert reading is not None
    told, total = _first_query(folder, number)
    hospitals, classes = told
    if not set(hospitals) & set(sites):
        raise StudyError(f"--maps {folder} is of hospitals {', '.join(hospitals[:4])}, none of which is in the run.")
    sums = {
        site: tuple(
            Summed(int(total["cases"][place, label]), total["shares"][place, label], total["squares"][place, label])
            for label in range(len(classes))
        )
        for place, site in enumerate(hospitals)
    }
    return AnsweredMaps(reading, classes, question.epsilon, sums, read_tensors(folder, MODEL).tensors)


def _question(one: Mapping[str, Any]) -> Question | None:
    """Where it reads maps."""
    said = table(one.get("question"))
    where = tuple(texts(said.get("where")))
    try:
        asked = Question(
            Entry(text(said.get("name")), dict(table(said.get("options")))),
            by=text(said.get("by")),
            where=where,
            epsilon=float(said.get("epsilon") or 0.0),
        )
        return asked if maps_read(asked.build()) is not None else None
    except (StudyError, TypeError, ValueError):
        return None


def _first_query(folder: Path, number: int) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], Mapping[str, Any]]:
    """Hospitals and classes, and the totals by part. Raises FileError."""
    for one in read_lines(folder, QUERIES):
        if one.get("question") != number:
            continue
        try:
            query = read_query({name: one.get(name) for name in QUERY})
            total = read_total(query.parts, tuple(int(word, 16) for word in texts(one.get("total"))))
            named = words(query, "sites"), words(query, "classes")
            parts = {name: total[name] for name in ("cases", "shares", "squares")}
        except (WireError, StudyError, KeyError, ValueError) as error:
            raise FileError(folder / QUERIES, f"holds no sums of maps: {error}") from error
        return named, cast(Mapping[str, Any], parts)
    raise FileError(folder / QUERIES, "lacks the question that answer.json has")
