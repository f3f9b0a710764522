"""The questions that a study asks of hospitals, in plain sentences for whoever permits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from client.asking.asked import Levels
from client.asking.decision import table_of, tells_hospitals
from client.node_settings import FILE as NODE_FILE
from client.node_settings import read_settings
from client.policy import Policy, read_policy
from client.policy_rules import broken
from client.source_abilities import abilities, can
from client.withdrawn import withdrawn
from common.asking.levels import levels_of
from common.asking.question import Question
from common.asking.records import Records
from common.errors import WardroundError
from common.files.access import is_there
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.study import Study
from common.sums.cohorts import reveals

OF_QUESTIONS = ("difference", "noise")
"""Words of refusals that a study without any policy can meet."""

ENCODERS = {
    "start": "For it every case here is shown to the encoder of the model that the study begins from, which comes to "
    "this hospital and has the digest in the study (start.sha256).",
    "random": "For it every case here is shown to an encoder that was never trained.",
}


def question_sentences(study: Study, folder: Path) -> Sequence[str]:
    """What each question tells, of whom, and how; () of a study that asks none."""
    if not study.analyses:
        return ()
    questions, levels = [Question.of(entry) for entry in study.analyses], levels_of(study)
    said = [f"Question {number}: {_one(one, levels)}" for number, one in enumerate(questions, start=1)]
    if any(not one.epsilon for one in questions):
        said.append(_who_reads(study))
    return (f"It asks {len(questions)} questions beside any training.", *said, *_counted(study, folder))


def refused_questions(study: Study) -> Sequence[str]:
    """Why hospitals would refuse a study's questions whatever their policy says, for whoever writes the study."""
    refused = [one.sentence for one in broken(study, Policy()) if one.word in OF_QUESTIONS]
    remedy = "List a question of these rows as well, so that hospitals see it, or ask with noise (epsilon)."
    return [f"Real hospitals refuse this: {sentence} {remedy}" for sentence in refused]


def _one(question: Question, levels: Levels) -> str:
    analysis = question.build()
    where = table_of(question, levels).where.text
    rows = f"rows with {where}" if where else "all rows"
    parts = [f"{question.words!r}, of {rows}{_groups(question, levels)}. It tells: {analysis.discloses}"]
    if question.epsilon:
        delta = f" at delta {question.delta:g}" if question.delta else ""
        parts.append(f"It is answered with noise, and costs every person here epsilon {question.epsilon:g}{delta}.")
    else:
        parts.append("It is answered as it is, without noise.")
    if tells_hospitals(question):
        parts.append("It tells of SINGLE hospitals.")
    if question.encoder:
        parts.append(ENCODERS[question.encoder])
    return " ".join(parts)


def _groups(question: Question, levels: Levels) -> str:
    if not question.by:
        return ""
    named = [
        f"{column} ({', '.join(words) or 'no word is named'}, and no group)"
        for column, words in table_of(question, levels).groups(levels)
    ]
    hospitals = ["hospital"] if tells_hospitals(question) else []
    return f", in groups of {' and '.join([*named, *hospitals])}"


def _who_reads(study: Study) -> str:
    if reveals(study) == "each":
        return "Whoever coordinates reads this hospital's own exact sums, of however few persons a group is."
    return (
        "Whoever coordinates reads exact sums over all hospitals that take part, of however few persons a group is; "
        "pages leave small groups out, the sums do not."
    )


def _counted(study: Study, folder: Path) -> Iterator[str]:
    """How few persons of this hospital groups of exact questions have: for these eyes alone, where it is quick."""
    least, levels = read_policy(folder).questions.least_cell, levels_of(study)
    try:
        records = _own_records(study, folder)
        if records is None:
            return
        cells = {
            cell.text: cell
            for one in map(Question.of, study.analyses)
            if not one.epsilon
            for cell in table_of(one, levels).cells(levels, together=1)
        }
        found = sorted(
            (len(np.unique(records.take(cell.rows(records)).persons)), text) for text, cell in cells.items()
        )
    except WardroundError as error:
        yield f"How many persons its groups have here could not be counted: {error}"
        return
    few = [f"{count} with {text or 'any row'}" for count, text in found if 0 < count < least]
    if few:
        yield f"HERE fewer than {least} persons are in: {'; '.join(few[:8])}. Nobody else was told."
    elif found:
        yield f"Here every group that is not empty has {least} persons or more."


def _own_records(study: Study, folder: Path) -> Records | None:
    """None where the node has no folder of data, or reading it is not quick."""
    if not is_there(folder, NODE_FILE):
        return None
    settings = read_settings(folder)
    options = {**study.source.options, "folder": str(folder / settings.data_folder)}
    source = SOURCES.build(Entry(study.source.name, options)) if settings.data_folder else None
    if source is None or not can(source, "records"):
        return None
    names = source.sites() if source.has_sites else (None,)
    site = settings.site if settings.site in names else names[0]
    records = abilities(source).records(site, study.seed)
    return records.take(~np.isin(records.persons, list(withdrawn(folder))))
