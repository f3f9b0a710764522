"""One query of a question as a hospital weighs it, and where the hospital remembers what it answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.asking.analysis import Query
from common.asking.levels import levels_of
from common.asking.noise import SumNoise
from common.asking.predicates import parse_all
from common.asking.question import Question
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from common.sums.abilities import colluding_of
from common.sums.cohorts import noise_shares, reveals

Levels = Mapping[str, tuple[str, ...]]
"""Words that columns may hold, by the study."""


@dataclass(frozen=True)
class Asked:
    """One query of a question that came. noise: what all queries of the question are to have; None: none.

    number: from 1. sites: hospitals of whose parts the sum will be. is_listed: whether the approved study lists it.
    text: what is asked, in one form: two ways to write the same conditions are one question.
    """

    question: Question
    query: Query
    number: int
    noise: SumNoise | None
    sites: tuple[str, ...]
    is_listed: bool
    text: str


def asked_of(
    study: Study, hospitals: int, question: Question, query: Query, number: int = 1, sites: tuple[str, ...] = ()
) -> Asked:
    """A query as the approved study has it, whatever came with it: how many hospitals' noise is counted on.

    Raises StudyError for a condition that cannot be read, or noise that cannot be.
    """
    levels = levels_of(study)
    text, listed = text_of(question, levels), {text_of(Question.of(entry), levels) for entry in study.analyses}
    noise = question.noise()
    if noise is not None:
        fewest = noise_shares(study, hospitals)
        colluding = colluding_of(AGGREGATIONS.build(study.aggregation))
        noise = noise.of_shares(reveals(study), fewest, colluding)
    return Asked(question, query, number, noise, sites, text in listed, text)


def text_of(question: Question, levels: Levels) -> str:
    """All that is asked, its conditions in one form. Raises StudyError for one that cannot be read."""
    table = json.loads(question.json)
    return json.dumps({**table, "where": parse_all(question.where, levels).text}, sort_keys=True)


@dataclass(frozen=True)
class Place:
    """Where a hospital remembers. data: which data, as `data_of` names them. run: for its log."""

    folder: Path
    data: str
    run: str = ""
