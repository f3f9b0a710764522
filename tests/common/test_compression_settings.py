"""`[federation.compression]`: what it may go with, and where it may not, the nearest that would do."""

from __future__ import annotations

import pytest

from common.errors import StudyError
from common.study.study import parse, parse_json

TEXT = """
title = "Tiny"
source = { name = "heart" }
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
"""
INT8 = "federation.compression={kind='int8'}"
SECAGG = "aggregation={name='secagg', value_bits=8, largest_value=0.1}"


def refused(words: str, *overrides: str) -> None:
    with pytest.raises(StudyError, match=words):
        parse(TEXT, overrides)


def test_a_study_says_what_it_was_given_again_and_nothing_where_nothing_was() -> None:
    study = parse(TEXT, ["federation.compression={kind='top_k', share=0.01, error_feedback=false}"])
    assert parse_json(study.json).federation.compression == study.federation.compression
    assert "compression" not in parse(TEXT).json


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("did you mean .int8", "kind='int16'"),
        ("kind is missing", "share=0.1"),
        ("share is of kinds top_k and random_k", "kind='int8', share=0.1"),
        ("block is of kinds int8 and int4", "kind='top_k', block=8"),
        ("share must be above zero", "kind='top_k', share=0.0"),
        ("share must lie between", "kind='top_k', share=1.5"),
        ("block must lie between", "kind='int4', block=100000"),
    ],
)
def test_options_that_are_none_are_refused(words: str, given: str) -> None:
    refused(words, f"federation.compression={{{given}}}")


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        ("'fedavg' or 'fedprox'", (INT8, "strategy=scaffold")),
        ("choose privacy 'dpsgd'", (INT8, "privacy={name='hospital', noise_multiplier=1.0, delta=0.01}")),
        (
            "choose privacy 'dpsgd'",
            (
                "federation.compression={kind='random_k'}",
                "strategy=fedsgd",
                "aggregation=secagg",
                "privacy={name='distributed', noise_multiplier=1.0, delta=0.001}",
            ),
        ),
        ("remove defence.update_norm", (INT8, "defence.update_norm=1.0")),
        ("value_bits = 16", ("federation.compression={kind='bfloat16'}", "aggregation=secagg")),
        ("'random_k' draws the same places", ("federation.compression={kind='top_k'}", "aggregation=secagg")),
        ("value_bits = 8", (INT8, "aggregation=secagg")),
        ("value_bits = 4", ("federation.compression={kind='int4'}", SECAGG)),
        ("aggregation.largest_value / 127", (INT8, "aggregation={name='secagg', value_bits=8}")),
        ("block is of single updates", ("federation.compression={kind='int8', block=32}", SECAGG)),
    ],
)
def test_what_would_break_a_sum_a_promise_or_a_bound_is_refused(words: str, overrides: tuple[str, ...]) -> None:
    refused(words, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        (INT8, SECAGG),
        (INT8, "aggregation={name='bfv', value_bits=8, largest_value=0.1}"),
        ("federation.compression={kind='random_k'}", "aggregation=additive"),
        (INT8, "strategy=krum"),
        (INT8, "privacy={name='dpsgd', noise_multiplier=1.0, delta=0.001}"),
    ],
)
def test_what_goes_together_is_taken(overrides: tuple[str, ...]) -> None:
    assert parse(TEXT, overrides).federation.compression is not None
