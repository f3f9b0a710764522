"""Whether a question is answered as it is, with noise, or not at all: by words and answers, never by patients.

*As it is*: a question that the approved study lists, where neither the study nor the policy promises noise, and where
everything that follows from it together with all exact answers given of the same data is a set of rows that some
approved table names (`common.asking.differences`).

*With noise*: whatever the policy permits beside; the noise covers every person, and the ledger counts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import Literal

from client.asking.answered import ExactAnswer, query_digest, question_digest
from client.asking.asked import Asked, Levels
from client.asking.rules import QuestionRules
from client.policy import Policy, RequiredNoise
from common.asking.abilities import label_draw_of, maps_read
from common.asking.differences import Derived, ExactTable, undeclared
from common.asking.label_shares import thin_share
from common.asking.maps import TELLING
from common.asking.noise import SumNoise
from common.asking.predicates import parse_all
from common.asking.question import Question
from common.errors import RefusedError, StudyError
from common.study.study import Study

Decision = Literal["exact", "noise"]
Words = tuple[str, tuple[str, ...]]
"""A column and the words that it may hold."""
ROUNDING = 1 + 1e-9
MOST_KEPT = 64


def table_of(question: Question, levels: Levels) -> ExactTable:
    """A question as the sets of rows that it is of. Raises StudyError for a condition that cannot be read."""
    where = parse_all(question.where, levels)
    groups = _own_groups(question.analysis.options.values(), levels)
    return ExactTable(question.words, where, question.by, groups, label_draw_of(question.build()))


def _own_groups(options: Iterable[object], levels: Levels) -> tuple[Words, ...]:
    """Columns that an analysis names and whose words are known: it may add up by them, and is taken to."""
    found: dict[str, tuple[str, ...]] = {}
    words = [word for one in options for word in (one if isinstance(one, list | tuple) else [one])]
    for word in words:
        for part in word.split(":") if isinstance(word, str) else ():
            column, named, own = (piece.strip() for piece in part.partition("="))
            known = tuple(each.strip() for each in own.split("|")) if named else levels.get(column, ())
            found |= {column: tuple(filter(None, known))} if len(known) > 1 else {}
    return tuple(sorted(found.items()))


def exact_tables(study: Study, levels: Levels) -> tuple[ExactTable, ...]:
    """Of all questions that a study lists without noise. Raises StudyError."""
    listed = map(Question.of, study.analyses)
    return tuple(table_of(one, levels) for one in listed if not getattr(one, "epsilon", None))


def decide(
    asked: Asked, study: Study, levels: Levels, policy: Policy, persons: int, before: Iterable[ExactAnswer] = ()
) -> Decision:
    """Raise RefusedError with a word where it is not answered.

    persons: how many there are here, as they are told. before: exact answers of the same data that count.
    """
    rules = policy.questions
    _refuse_kind(asked, policy)
    _refuse_thin(asked, levels, rules, persons)
    if asked.noise is None:
        _refuse_exact(asked, study, levels, policy, persons, tuple(before))
        return "exact"
    if not asked.is_listed and not rules.free:
        raise RefusedError("free", "questions.free = false, and the approved study does not list this question.")
    _refuse_weak(asked, asked.noise, policy)
    return "noise"


def tells_hospitals(question: Question) -> bool:
    """Whether it tells of single hospitals."""
    return question.tells_hospitals


def _refuse_kind(asked: Asked, policy: Policy) -> None:
    question = asked.question
    if policy.analyses is not None and question.analysis.name not in policy.analyses:
        named = f"analyses = {list(policy.analyses)}"
        raise RefusedError("analyses", f"{named}, and the question is of {question.analysis.name!r}.")
    if policy.required_sums and tells_hospitals(question):
        raise RefusedError("sums", "required_sums, and the question tells of single hospitals.")


def _refuse_weak(asked: Asked, noise: SumNoise, policy: Policy) -> None:
    """Noise that hides too little, or that cannot hide a person at all."""
    most, required = policy.questions.largest_epsilon, policy.required_noise
    try:
        noise.plan(asked.query)
    except StudyError as error:
        raise RefusedError("unbounded", str(error)) from error
    if asked.number > noise.rounds:
        raise RefusedError("query", f"the noise is of {noise.rounds} queries; this is number {asked.number}.")
    if not asked.is_listed and noise.epsilon > most * ROUNDING:
        raise RefusedError("epsilon", f"questions.largest_epsilon = {most:g}; this asks for {noise.epsilon:g}.")
    if required is not None:
        _refuse_less(noise, required)


def _refuse_less(noise: SumNoise, required: RequiredNoise) -> None:
    """Than the policy requires of a study that trains."""
    least = min(release.noise_multiplier for release in noise.releases())
    if required.unit == "hospital":
        raise RefusedError("noise", "required_noise.unit = 'hospital', and noise of questions hides a patient.")
    if required.epsilon is not None and noise.epsilon > required.epsilon * ROUNDING:
        raise RefusedError("noise", f"required_noise.epsilon = {required.epsilon:g}; here it is {noise.epsilon:g}.")
    if required.noise_multiplier is not None and least * ROUNDING < required.noise_multiplier:
        raise RefusedError("noise", f"required_noise.noise_multiplier, and this question's is {least:.4g}.")


def _refuse_thin(asked: Asked, levels: Levels, rules: QuestionRules, persons: int) -> None:
    """By the number of groups and of persons, both of which everybody knows, and not by who is in which."""
    try:
        groups = prod(len(words) for _, words in table_of(asked.question, levels).groups(levels))
    except StudyError as error:
        raise RefusedError("query", str(error)) from error
    if groups * rules.least_cell > persons:
        raise RefusedError(
            "cells", f"questions.least_cell = {rules.least_cell}: {persons} persons are too few for {groups} groups."
        )


def _refuse_exact(
    asked: Asked, study: Study, levels: Levels, policy: Policy, persons: int, before: tuple[ExactAnswer, ...]
) -> None:
    if not asked.is_listed:
        raise RefusedError("free", "a question that the approved study does not list is answered with noise only.")
    if not policy.questions.exact:
        raise RefusedError("noise", "questions.exact = false, and the question has no noise.")
    if study.privacy is not None:
        raise RefusedError("noise", "the study promises privacy, and the question has no noise.")
    if maps_read(asked.question.build()) is not None:
        raise RefusedError("noise", TELLING)
    if policy.required_noise is not None or policy.largest_epsilon_a_person is not None:
        raise RefusedError("noise", "the policy bounds what a person may be told of, and the question has no noise.")
    own, most = question_digest(asked), policy.questions.most_queries
    queries = {query for one in before if one.question == own for query in one.queries} | {query_digest(asked)}
    if max(len(queries), asked.number) > most:
        raise RefusedError("query", f"questions.most_queries = {most}, and so many of this question were answered.")
    tables = (*exact_tables(study, levels), *(one.table for one in before))
    if thin := thin_share(tables, persons, policy.questions.least_cell):
        raise RefusedError("cells", f"questions.least_cell = {policy.questions.least_cell}: {thin}.")
    refuse_undeclared(tables, levels)


def refuse_undeclared(tables: tuple[ExactTable, ...], levels: Levels) -> None:
    """Raise RefusedError where tables together tell of rows that none of them names."""
    try:
        found = _undeclared(tables, tuple(sorted(levels.items())))
    except StudyError as error:
        raise RefusedError("difference", str(error)) from error
    if found:
        raise RefusedError("difference", f"together with other exact answers it would tell of {found[0].rows}.")


@lru_cache(maxsize=MOST_KEPT)
def _undeclared(tables: tuple[ExactTable, ...], levels: tuple[Words, ...]) -> tuple[Derived, ...]:
    """Kept from query to query of a question."""
    return undeclared(tables, dict(levels))
