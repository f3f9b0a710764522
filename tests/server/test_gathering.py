"""Before the first round: who takes part, and who does not and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from common.errors import TooFewHospitalsError
from common.exchange import Number, Payload, Word
from common.study import Study, parse
from server.conversation import Conversation, Heard, Sent
from server.gathering import gather
from server.traffic import Traffic

TEXT = """
title = "Gathered"
rounds = 1
source = "heart"
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
aggregation = "plain"
federation = { start_timeout_s = 0.01 }
"""


def introduction(site: str, **changed: Number) -> Payload:
    numbers: dict[str, Number] = {f"{kind}/{split}": 4 for kind in ("cases", "patients") for split in SPLITS}
    words: dict[str, Word] = {"site": site, "classes": ["no", "yes"]}
    return Payload(None, {**numbers, "quarantined": 0, "shape": [13], "labels": [2, 2], **changed}, words)


SPLITS = ("train", "validation", "test")


@dataclass
class Nodes:
    """In the place of a conversation: what each node answers to hello; None: nothing."""

    answers: Mapping[int, Payload | None]
    asked: list[int] = field(default_factory=list)

    @property
    def grid(self) -> Nodes:
        return self

    def get_node_ids(self) -> list[int]:
        return list(self.answers)

    def converse(self, leg: str, requests: Mapping[int, Payload], timeout_s: float) -> Iterator[Heard | Sent]:
        for node in requests:
            yield Sent(node, 10)
            answer = self.answers[node]
            yield Heard(node, answer, "" if answer else "no reply within 0.01 s", 0.0, 10)


def study(*overrides: str) -> Study:
    return parse(TEXT, overrides)


def gathered(answers: Mapping[int, Payload | None], asked: Study, expected: int = 0) -> tuple[list[str], str]:
    found = gather(cast(Conversation, Nodes(answers)), asked, expected, Traffic())
    assert set(found.members) == set(found.nodes)
    return list(found.members), " ".join(found.failures)


def test_all_that_came_take_part_sorted_by_name() -> None:
    assert gathered({7: introduction("b"), 5: introduction("a")}, study()) == (["a", "b"], "")


def test_of_two_nodes_that_claim_one_name_neither_takes_part_and_both_are_named() -> None:
    answers = {5: introduction("a"), 6: introduction("b"), 7: introduction("a")}
    members, failures = gathered(answers, study("federation.hospitals_at_start=1"), 3)
    assert members == ["b"]
    assert "nodes 5 and 7 call themselves a; none is believed" in failures
    with pytest.raises(TooFewHospitalsError, match=r"1 of 3 hospitals are ready .* nodes 5 and 7"):
        gathered(answers, study(), 3)


def test_a_run_does_not_begin_without_all_that_are_expected_and_says_who_is_missing_and_why() -> None:
    with pytest.raises(TooFewHospitalsError, match=r"demands 2 at its start .* node 6: no reply within"):
        gathered({5: introduction("a"), 6: None}, study(), 2)


def test_one_hospital_of_another_form_than_most_is_left_out_by_name() -> None:
    answers = {5: introduction("a"), 6: introduction("b"), 7: introduction("c", shape=[14])}
    members, failures = gathered(answers, study("federation.hospitals_at_start=2"), 3)
    assert members == ["a", "b"]
    assert "c holds inputs of shape (14,)" in failures


def test_a_description_that_is_none_costs_its_sender_alone() -> None:
    answers = {5: introduction("a"), 6: Payload(words={"site": "b"}), 7: introduction("c", labels=[1])}
    members, failures = gathered(answers, study("federation.hospitals_at_start=1"), 3)
    assert members == ["a"]
    assert "node 6" in failures and "node 7" in failures
