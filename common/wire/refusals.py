"""Why a hospital refuses: a closed list of words, so that nothing of a patient or of an error travels with them.

A word goes over the wire; the sentence is what the coordinator shows, and no word that is not on the list.
"""

from __future__ import annotations

from collections.abc import Mapping

BUDGET_SPENT = "its own limit of privacy spending forbids it"
"""Why a hospital is dropped that would have overspent: it trained nothing and released nothing."""
ROUNDS_SPENT = "it released as many rounds as the study has; one was asked for again, and counted twice"
BEYOND_RANGE = "too many of its values lie beyond the range of the sum (aggregation.largest_value)"
"""Why a hospital sends nothing where no noise covers what the cut would tell: it is asked again in a wider range."""
DATA_CHANGED = "its data changed since the run began; it answers once that is accepted (resume --accept-changed-data)"

NOT_AGREED = "members"
NOT_ALL_SIGNED = (
    "not every hospital of the study has signed the member list that it knows (each compares the others' keys by "
    "telephone and signs: wardround node accept)"
)

ASKED_AGAIN: Mapping[str, str] = {
    "approval": "its people have not approved this study",
    "hours": "its policy has it compute at other hours",
}
"""What time may change: the coordinator asks again for as long as the study waits."""
BY_PEOPLE: Mapping[str, str] = {
    "declined": "its people looked at this study and declined it",
    "folder": "its node has no folder of data of its own (data_folder in node.toml), and no study chooses one",
    "program": "what it runs, the program or a plug-in, is not what its people approved this study with, or not what "
    "the study demands (federation.programs)",
}
BY_POLICY: Mapping[str, str] = {
    "tasks": "its policy does not permit this task (tasks)",
    "analyses": "its policy does not permit this analysis (analyses)",
    "strategies": "its policy does not permit this strategy (strategies)",
    "networks": "its policy does not permit this network (networks)",
    "sums": "its policy demands that sums alone are revealed (required_sums)",
    "cohort": "its policy demands more hospitals than a round of this study has (least_cohort, least_in_sum)",
    "noise": "its policy demands more noise than this study promises (required_noise)",
    "person": "this study alone would go beyond its limit for one person (largest_epsilon_a_person)",
    "scores": "its policy forbids that its own scores are told (own_scores)",
    "devices": "its policy does not permit the device that it would compute on (devices)",
    "difference": "exact answers together would tell of persons whom no question that its people approved is of",
}
"""Which rule, and never its value: what a hospital would have accepted is its own matter."""
ADMISSION: Mapping[str, str] = {**ASKED_AGAIN, **BY_PEOPLE, **BY_POLICY}
"""Refused before anything was trained or released."""

OF_QUESTIONS: Mapping[str, str] = {
    "free": "it answers no question that its approved study does not list, or only with noise (questions.free)",
    "epsilon": "its policy permits less epsilon for one question (questions.largest_epsilon)",
    "unbounded": "one row can change the analysis without bound, so that no noise hides it",
    "cells": "its persons are too few for the question's groups, or its shares of labels (questions.least_cell)",
    "changed": "its data, or whose they are, are not those of exact answers before; with noise it answers",
    "questions": "it answered as many questions of these data as its policy permits (questions.most)",
    "query": "what it was asked is no query of this analysis, or more than a hospital answers",
    "encoder": "it has not the encoder whose features the question reads ([start]), or its cases do not fit it",
    "columns": "its records lack a column that the question names, or hold words where numbers are needed",
    "numbers": "a number of its part is so large that no sum can hold it",
}
"""Of questions that are no model; nothing was released."""
FREE_OF_CHARGE: Mapping[str, str] = {
    "budget": BUDGET_SPENT,
    "rounds": ROUNDS_SPENT,
    NOT_AGREED: NOT_ALL_SIGNED,
    **ADMISSION,
    **OF_QUESTIONS,
}
"""Of those that were charged nothing."""
SENTENCES: Mapping[str, str] = {
    **FREE_OF_CHARGE,
    "range": BEYOND_RANGE,
    "data": DATA_CHANGED,
}
UNKNOWN = "it refused, for a reason that is not known"


def sentence_of(reason: object) -> str:
    """What to show of a reason that came over the wire."""
    return SENTENCES.get(str(reason), UNKNOWN)
