"""Whether a question is answered as it is, with noise, or not at all: by words and answers, never by patients.

*As it is*: a question that the approved study lists, where neither the study nor the policy promises noise, and where
everything that follows from it together with all exact answers given of the same data is a set of rows that some
approved table names (`common.asking.differences`).

*With noise*: whatever the policy permits beside; the noise covers every person, and the ledger counts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from client.asking.answered import ExactAnswer, query_digest, question_digest
from client.asking.asked import Asked, Levels
from client.asking.rules import QuestionRules
from client.policy import Policy
from common.asking.differences import ExactTable, undeclared
from common.asking.predicates import parse_all
from common.asking.question import Question
from common.errors import RefusedError, StudyError
from common.study.study import Study

Decision = Literal["exact", "noise"]


def table_of(question: Question, levels: Levels) -> ExactTable:
    """A question as the sets of rows that it is of. Raises StudyError for a condition that cannot be read."""
    return ExactTable(question.words, parse_all(question.where, levels), question.by)


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
    name = asked.question.analysis.name
    if policy.analyses is not None and name not in policy.analyses:
        raise RefusedError("analyses", f"analyses = {list(policy.analyses)}, and the question is of {name!r}.")
    _refuse_thin(asked, levels, rules, persons)
    if asked.noise is None:
        _refuse_exact(asked, study, levels, policy, tuple(before))
        return "exact"
    if not asked.is_listed and not rules.free:
        raise RefusedError("free", "questions.free = false, and the approved study does not list this question.")
    if rules.largest_epsilon is not None and asked.noise.epsilon > rules.largest_epsilon * (1 + 1e-9):
        raise RefusedError(
            "epsilon",
            f"questions.largest_epsilon = {rules.largest_epsilon:g}; this asks for {asked.noise.epsilon:g}.",
        )
    unbounded = [part for part, one in asked.query.parts.items() if one.most_by_one is None]
    if unbounded:
        raise RefusedError("unbounded", f"one row can change {unbounded[0]!r} of {name!r} without bound.")
    if asked.number > asked.noise.rounds:
        raise RefusedError("query", f"the noise is of {asked.noise.rounds} queries; this is number {asked.number}.")
    return "noise"


def _refuse_thin(asked: Asked, levels: Levels, rules: QuestionRules, persons: int) -> None:
    """By the number of groups and of persons, both of which everybody knows, and not by who is in which."""
    try:
        groups = len(table_of(asked.question, levels).cells(levels)) - (asked.question.by not in ("", "site"))
    except StudyError as error:
        raise RefusedError("query", str(error)) from error
    if groups * rules.least_cell > persons:
        raise RefusedError(
            "cells", f"questions.least_cell = {rules.least_cell}: {persons} persons are too few for {groups} groups."
        )


def _refuse_exact(
    asked: Asked, study: Study, levels: Levels, policy: Policy, before: tuple[ExactAnswer, ...]
) -> None:
    if not asked.is_listed:
        raise RefusedError("free", "a question that the approved study does not list is answered with noise only.")
    if not policy.questions.exact:
        raise RefusedError("noise", "questions.exact = false, and the question has no noise.")
    if study.privacy is not None:
        raise RefusedError("noise", "the study promises privacy, and the question has no noise.")
    if policy.required_noise is not None or policy.largest_epsilon_a_person is not None:
        raise RefusedError("noise", "the policy bounds what a person may be told of, and the question has no noise.")
    own, most = question_digest(asked), policy.questions.most_queries
    queries = {query for one in before if one.question == own for query in one.queries} | {query_digest(asked)}
    if max(len(queries), asked.number) > most:
        raise RefusedError("query", f"questions.most_queries = {most}, and so many of this question were answered.")
    refuse_undeclared((*exact_tables(study, levels), *(one.table for one in before)), levels)


def refuse_undeclared(tables: tuple[ExactTable, ...], levels: Levels) -> None:
    """Raise RefusedError where tables together tell of rows that none of them names."""
    try:
        found = undeclared(tables, levels)
    except StudyError as error:
        raise RefusedError("difference", str(error)) from error
    if found:
        raise RefusedError("difference", f"together with other exact answers it would tell of {found[0].rows}.")
