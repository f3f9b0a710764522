"""Signatures are handed round to those that are enrolled, and whoever has not signed is named in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.consortium.members import introduction
from common.data.cases import Shape
from common.errors import WireError
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.refusals import NOT_ALL_SIGNED
from server.member_signatures import ANOTHER_LIST, NOT_ENROLLED, NOT_SIGNED, demand_proven, hand_round
from server.members import Member
from server.traffic import Traffic
from server.transport import Conversation, Heard, Sent

ONE, OTHER, SIGNED = "1" * 64, "2" * 64, "a" * 128
NODES = {"A": 2, "B": 3, "C": 4}
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
RUN = "0" * 32


def member(site: str, members: str, signature: str = "", key: str = "", proof: str = "") -> Member:
    counts = dict.fromkeys(("train", "validation", "test"), 1)
    return Member(
        site,
        counts,
        counts,
        0,
        (1, 1),
        Shape((1,), 2),
        ("a", "b"),
        members=members,
        members_signature=signature,
        members_key=key,
        members_proof=proof,
    )


@dataclass
class Asked(Conversation):
    """Hospitals that agree, but for those that refuse."""

    grid: None = None  # type: ignore[assignment]
    refusing: tuple[int, ...] = ()
    requests: dict[int, Payload] = field(default_factory=dict)

    def converse(self, leg: str, requests: Mapping[int, Payload], timeout_s: float) -> Iterator[Heard | Sent]:
        assert leg == "members"
        self.requests = dict(requests)
        for node in requests:
            yield Sent(node, 10)
            yield Heard(node, None if node in self.refusing else Payload(), NOT_ALL_SIGNED, 0.0, 5)


def handed(lists: Mapping[str, tuple[str, str]], *refusing: str) -> tuple[Mapping[str, str], Asked, Traffic]:
    asked, traffic = Asked(refusing=tuple(NODES[site] for site in refusing)), Traffic()
    found = {site: (member(site, *one), NODES[site]) for site, one in lists.items()}
    request = Payload(words={"study": "{}", "run": RUN})
    return hand_round(asked, found, request, 1.0, traffic), asked, traffic


def test_where_nobody_is_enrolled_nothing_is_sent() -> None:
    apart, asked, traffic = handed({"A": ("", ""), "B": ("", "")})
    assert apart == {} and not asked.requests and not traffic.table()["kinds"]


def test_everybody_gets_everybodys_signature_with_study_and_run() -> None:
    apart, asked, _ = handed(dict.fromkeys("ABC", (ONE, SIGNED)))
    assert apart == {} and sorted(asked.requests) == [2, 3, 4]
    for request in asked.requests.values():
        assert request.words["names"] == ["A", "B", "C"] and request.words["signatures"] == [SIGNED] * 3
        assert (request.words["study"], request.words["run"]) == ("{}", RUN)


def test_whoever_has_not_signed_is_named_and_those_that_refuse_for_it_are_too() -> None:
    apart, asked, _ = handed({"A": (ONE, SIGNED), "B": (ONE, ""), "C": (ONE, SIGNED)}, "A", "B", "C")
    assert apart == {"A": NOT_ALL_SIGNED, "B": NOT_SIGNED, "C": NOT_ALL_SIGNED}
    assert asked.requests[2].words["names"] == ["A", "C"]


def test_whoever_has_no_list_is_not_asked_and_is_named() -> None:
    apart, asked, _ = handed({"A": (ONE, SIGNED), "B": ("", "")})
    assert apart == {"B": NOT_ENROLLED} and sorted(asked.requests) == [2]


def test_whoever_holds_another_list_than_most_is_named_with_them() -> None:
    apart, _, _ = handed({"A": (ONE, SIGNED), "B": (OTHER, SIGNED), "C": (ONE, SIGNED)})
    assert apart == {"B": ANOTHER_LIST.format(others="A and C")}


def test_of_two_that_hold_different_lists_nobody_says_who_is_right() -> None:
    apart, _, _ = handed({"A": (ONE, SIGNED), "B": (OTHER, SIGNED)})
    assert apart == {"A": ANOTHER_LIST.format(others="B"), "B": ANOTHER_LIST.format(others="A")}


def study(key: str) -> Study:
    text = 'title="T"\nrounds=1\nsource="heart"\nstrategy="fedavg"\n'
    text += 'task = { name = "classification", network = { name = "mlp", hidden = [4] } }\n'
    return parse(text + (f'federation.roster = [{{ name = "A", key = "{key}" }}]\n' if key else ""))


def test_a_node_that_proves_its_name_is_believed_and_no_other() -> None:
    proof = KEY.sign(introduction("A", RUN, 2)).hex()
    proven = member("A", ONE, SIGNED, PUBLIC.hex(), proof)
    for wanted in (sha256(PUBLIC).hexdigest(), ""):
        demand_proven(proven, study(wanted), RUN, 2)
    demand_proven(member("A", ""), study("0" * 64), RUN, 2)
    for one, key, run, node in (
        (proven, "0" * 64, RUN, 2),
        (proven, "", RUN, 3),
        (proven, "", "1" * 32, 2),
        (member("A", ONE, SIGNED, PUBLIC.hex()), "", RUN, 2),
        (member("A", ONE, SIGNED, "", proof), "", RUN, 2),
    ):
        with pytest.raises(WireError, match="does not prove to be A"):
            demand_proven(one, study(key), run, node)
