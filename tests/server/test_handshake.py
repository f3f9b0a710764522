"""Before the first round: who takes part, and who does not and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from common.errors import TooFewHospitalsError
from common.study.study import Study, parse
from common.sums.exchange import Number, Payload, Word
from common.wire.refusals import SENTENCES
from server import handshake as gathering
from server.handshake import gather
from server.problems import Problem
from server.traffic import TO_HOSPITAL, Traffic
from server.transport import Conversation, Heard, Sent

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
    problems: list[Problem] = []
    found = gather(cast(Conversation, Nodes(answers)), asked, expected, Traffic(), problems.append)
    assert set(found.members) == set(found.nodes)
    return list(found.members), " ".join(problem.sentence for problem in problems)


def test_all_that_came_take_part_sorted_by_name() -> None:
    assert gathered({7: introduction("b"), 5: introduction("a")}, study()) == (["a", "b"], "")


def test_of_two_nodes_that_claim_one_name_neither_takes_part_and_both_are_named() -> None:
    answers = {5: introduction("a"), 6: introduction("b"), 7: introduction("a")}
    members, failures = gathered(answers, study("federation.hospitals_at_start=1"), 3)
    assert members == ["b"]
    assert "a took no part: nodes 5 and 7 call themselves a; none is believed" in failures
    with pytest.raises(TooFewHospitalsError, match=r"1 of 3 hospitals are ready .* nodes 5 and 7"):
        gathered(answers, study(), 3)


def test_a_run_does_not_begin_without_all_that_are_expected_and_says_who_is_missing_and_why() -> None:
    with pytest.raises(TooFewHospitalsError, match=r"demands 2 at its start .* node 6 took no part: no reply within"):
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
    assert "b took no part" in failures and "c took no part" in failures


def lost(answers: Mapping[int, Payload | None], expected: Sequence[str], asked: int = 0) -> dict[str, str]:
    """Who takes no part, and why, where one hospital is enough to begin."""
    problems: list[Problem] = []
    nodes, one = cast(Conversation, Nodes(answers)), study("federation.hospitals_at_start=1")
    gather(nodes, one, asked or len(expected), Traffic(), problems.append, expected)
    return {problem.who: problem.reason for problem in problems}


def test_everybody_expected_who_never_came_is_named() -> None:
    assert lost({5: introduction("a")}, ("a", "Köln", "c")) == {
        "Köln": "no node of this name introduced itself within 0.01 s",
        "c": "no node of this name introduced itself within 0.01 s",
    }


def test_how_many_never_came_is_said_where_nobody_knows_their_names() -> None:
    assert lost({5: introduction("a")}, (), 3) == {"": "2 expected hospitals did not come up within 0.01 s"}


def test_the_one_node_that_failed_is_the_one_hospital_that_is_missing() -> None:
    assert lost({5: introduction("a"), 6: None}, ("a", "b")) == {"b": "no reply within 0.01 s"}


def test_of_two_nodes_that_failed_nobody_guesses_which_is_which() -> None:
    found = lost({5: introduction("a"), 6: None, 7: None}, ("a", "b", "c"))
    assert found.keys() == {"node 6", "node 7", "b", "c"}
    assert "it may be a node that did not say its name" in found["b"]


def test_a_node_that_says_its_name_and_cannot_take_part_is_known_by_it() -> None:
    found = lost({5: introduction("a"), 6: introduction("b", **{"cases/train": 0})}, ("a", "b"))
    assert found == {"b": "b has no training cases."}


def test_who_fails_under_the_name_of_another_that_takes_part_costs_that_one_nothing() -> None:
    found = lost({5: introduction("a"), 6: introduction("a", **{"cases/train": 0})}, ("a",))
    assert found == {"node 6": "it calls itself a, as another does; a has no training cases."}


def test_who_takes_no_part_is_told_also_where_the_run_does_not_begin() -> None:
    problems: list[Problem] = []
    nodes = cast(Conversation, Nodes({5: introduction("a"), 6: None}))
    with pytest.raises(TooFewHospitalsError):
        gather(nodes, study(), 2, Traffic(), problems.append, ("a", "b"))
    assert [problem.who for problem in problems] == ["b"]


@dataclass
class Deciding(Nodes):
    """Nodes that refuse for a while: `until` of each, by how often it was asked; the word by which they do."""

    until: Mapping[int, int] = field(default_factory=dict)
    word: str = "approval"

    def converse(self, leg: str, requests: Mapping[int, Payload], timeout_s: float) -> Iterator[Heard | Sent]:
        for node in requests:
            self.asked.append(node)
            yield Sent(node, 10)
            if self.asked.count(node) <= self.until.get(node, 0):
                yield Heard(node, None, SENTENCES[self.word], 0.0, 10, self.word)
            else:
                yield Heard(node, self.answers[node], "", 0.0, 10)


def decided(nodes: Deciding, *overrides: str) -> tuple[list[str], list[Problem], Traffic]:
    problems: list[Problem] = []
    asked, traffic = study("federation.hospitals_at_start=1", *overrides), Traffic()
    found = gather(cast(Conversation, nodes), asked, 2, traffic, problems.append)
    return list(found.members), problems, traffic


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SHORTEST_PAUSE_S", 0.001)


@pytest.mark.parametrize("word", ["approval", "hours"])
def test_whoever_may_still_agree_is_asked_again_and_takes_part(quick: None, word: str) -> None:
    nodes = Deciding({5: introduction("a"), 6: introduction("b")}, until={6: 3}, word=word)
    members, problems, traffic = decided(nodes, "federation.start_timeout_s=60")
    assert (members, problems) == (["a", "b"], [])
    assert (nodes.asked.count(5), nodes.asked.count(6)) == (1, 4)
    assert traffic.total(TO_HOSPITAL) == 50


def test_who_declined_is_not_asked_again_and_lost_with_the_reason(quick: None) -> None:
    nodes = Deciding({5: introduction("a"), 6: introduction("b")}, until={6: 99}, word="declined")
    members, problems, _ = decided(nodes, "federation.start_timeout_s=60")
    assert members == ["a"] and nodes.asked.count(6) == 1
    assert [one.reason for one in problems] == ["its people looked at this study and declined it"]


def test_the_wait_for_an_approval_ends_with_the_studys_own(quick: None) -> None:
    nodes = Deciding({5: introduction("a"), 6: introduction("b")}, until={6: 10**9})
    members, problems, _ = decided(nodes, "federation.start_timeout_s=0.05")
    assert members == ["a"] and nodes.asked.count(6) >= 2
    assert [one.reason for one in problems] == ["its people have not approved this study"]


def saying(site: str, program: str) -> Payload:
    said = introduction(site)
    return Payload(None, said.numbers, {**said.words, "program": program, "program_versions": ["wardround 1"]})


def test_who_says_that_it_runs_a_program_that_the_study_does_not_list_is_left_out_by_name() -> None:
    wanted, other = "a" * 64, "b" * 64
    answers = {5: saying("a", wanted), 6: saying("b", other), 7: introduction("c")}
    asked = study("federation.hospitals_at_start=1", f'federation.programs=["{wanted}"]')
    members, failures = gathered(answers, asked, 3)
    assert members == ["a"]
    assert f"b runs program {'b' * 12}" in failures and "c runs a program of which it says nothing" in failures


@pytest.mark.parametrize("program", ["", "a" * 63, "A" * 64, "../x"])
def test_a_program_that_is_no_digest_costs_its_sender_alone(program: str) -> None:
    answers = {5: saying("a", "a" * 64), 6: saying("b", program)}
    members, _ = gathered(answers, study("federation.hospitals_at_start=1"), 2)
    assert members == (["a", "b"] if not program else ["a"])
