"""Whatever is lost between, every request ends with the one answer of its node, and no node works twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx
import pytest
from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from hypothesis import given, settings
from hypothesis import strategies as st

from common.sums.exchange import Payload
from common.wire.message_bytes import RunIsOver, content_to_bytes, from_bytes, identify, name_message, to_bytes
from common.wire.packing import packed, unpacked
from common.wire.records import from_records, to_records
from server import transport as conversation
from server.redelivery import ABSENCE_S, ASK_AGAIN_S, Resending
from server.transport import Conversation, Heard

LIMIT_S = 600.0
RUN = 7


@dataclass
class Time:
    """Passes when somebody sleeps, and a little with every look."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0)


@dataclass
class Hospital:
    """A node with its outbox: a repeat is answered with the first reply, to the byte."""

    work: Counter[str] = field(default_factory=Counter)
    outbox: dict[str, RecordDict] = field(default_factory=dict)

    def answer(self, request: Message) -> Message:
        content = unpacked(request.content)
        key = sha256(content_to_bytes(content)).hexdigest()
        if key not in self.outbox:
            self.work[key] += 1
            numbers = from_records(content, 99).numbers
            self.outbox[key] = packed(to_records(Payload(numbers={"square": int(numbers["n"]) ** 2})))
        return Message(self.outbox[key], reply_to=request)


Fault = str
FAULTS = (
    "",
    "push raises",
    "push is lost",
    "no name",
    "request lost",
    "reply lost",
    "pull raises",
    "answer lost",
    "absent",
)


class Faulty(Grid):
    """A SuperLink with its nodes. faults: what goes wrong with each message in turn, nothing once they are spent."""

    def __init__(self, faults: Iterable[Fault], time: Time) -> None:
        self.faults, self.time = iter(faults), time
        self.nodes = {2: Hospital(), 3: Hospital()}
        self.sent: dict[str, tuple[Message, Fault]] = {}
        self.pushes = 0

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    def send_and_receive(self, *_: Any, **__: Any) -> Iterable[Message]:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        (message,) = messages
        self.pushes += 1
        fault, name = next(self.faults, ""), f"message {self.pushes}"
        if fault == "push raises":
            raise httpx.ConnectError("the SuperLink was killed")
        if fault == "no name":
            return []
        name_message(message, RUN, name)
        if fault not in ("request lost", "absent"):
            reply = self.nodes[message.metadata.dst_node_id].answer(from_bytes(to_bytes(message)))
            self.sent[name] = (reply, fault)
        else:
            self.sent[name] = (message, fault)
        if fault == "push is lost":
            raise httpx.ReadError("the answer was lost")
        return [name]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [reply for name in message_ids for reply in self._pull(name)]

    def _pull(self, name: str) -> Iterator[Message]:
        if name not in self.sent:
            return
        reply, fault = self.sent.pop(name)
        if fault == "pull raises":
            raise httpx.RemoteProtocolError("the SuperLink was killed")
        if fault == "reply lost":
            yield Message(Error(4, "unavailable"), reply_to=named(reply, name))
        elif fault == "absent":
            yield Message(Error(5, "no heartbeat"), reply_to=reply)
        elif fault not in ("answer lost", "request lost"):
            reply.metadata.__dict__["_reply_to_message_id"] = name
            yield reply


def named(reply: Message, name: str) -> Message:
    name_message(reply, RUN, name)
    return reply


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    passing = Time()
    monkeypatch.setattr(conversation, "monotonic", passing)
    monkeypatch.setattr(conversation, "sleep", passing.sleep)
    identify(RUN, 1)
    return passing


def square(grid: Faulty, time: Time, rounds: int = 2, limit_s: float = LIMIT_S) -> list[dict[int, Heard]]:
    """What two nodes answer in each round."""
    talk = Conversation(Resending(grid, clock=time))
    heard = []
    for number in range(rounds):
        requests = {node: Payload(numbers={"n": 10 * node + number}) for node in grid.nodes}
        events = talk.converse("round", requests, limit_s)
        heard.append({event.node: event for event in events if isinstance(event, Heard)})
    return heard


def answers(heard: list[dict[int, Heard]]) -> list[dict[int, object]]:
    return [{node: one.payload and one.payload.numbers["square"] for node, one in of.items()} for of in heard]


RIGHT = [{2: 20**2, 3: 30**2}, {2: 21**2, 3: 31**2}]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", range(4))
def test_one_loss_of_any_kind_at_any_place_changes_no_answer_and_costs_one_wait(
    time: Time, fault: Fault, place: int
) -> None:
    grid = Faulty([""] * place + [fault], time)
    assert answers(square(grid, time)) == RIGHT
    assert time.now < ASK_AGAIN_S + 10
    assert all(set(node.work.values()) == {1} for node in grid.nodes.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FAULTS), max_size=12))
def test_no_schedule_of_losses_changes_an_answer_or_makes_a_node_work_twice(faults: list[Fault]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        passing = Time()
        patch.setattr(conversation, "monotonic", passing)
        patch.setattr(conversation, "sleep", passing.sleep)
        identify(RUN, 1)
        grid = Faulty(faults, passing)
        assert answers(square(grid, passing, limit_s=3600.0)) == RIGHT
        assert all(set(node.work.values()) == {1} for node in grid.nodes.values())


def test_contents_reach_a_node_to_the_bit_however_often_they_are_sent(time: Time) -> None:
    grid = Faulty(["request lost"] * 4, time)
    assert answers(square(grid, time, rounds=1)) == RIGHT[:1]
    assert all(len(node.outbox) == 1 for node in grid.nodes.values())


def test_a_line_that_brings_nothing_ends_the_wait_when_the_study_says(time: Time) -> None:
    grid = Faulty(["request lost"] * 40, time)
    heard = square(grid, time, rounds=1)
    assert {one.reason for one in heard[0].values()} == {"no reply within 600 s"}
    assert LIMIT_S <= time.now < LIMIT_S + 10
    assert grid.pushes <= 2 * 12


def test_a_hospital_that_gives_no_sign_of_life_is_waited_for_once_and_not_every_round(time: Time) -> None:
    grid = Faulty(["absent"] * 10_000, time)
    grid.get_node_ids = lambda: []  # type: ignore[method-assign]
    first, second = square(grid, time)
    assert {one.reason for one in (*first.values(), *second.values())} == {"it sent no sign of life"}
    assert time.now < ABSENCE_S + 25


def test_a_hospital_that_comes_back_is_asked_within_two_seconds(time: Time) -> None:
    grid = Faulty(["absent", "absent"] * 4, time)
    back_at = 20.0
    grid.get_node_ids = lambda: [2, 3] if time.now > back_at else []  # type: ignore[method-assign]
    assert answers(square(grid, time, rounds=1)) == RIGHT[:1]


def test_an_answer_that_is_an_error_of_the_hospitals_own_is_handed_up_at_once(time: Time) -> None:
    grid = Faulty([], time)

    def fail(request: Message) -> Message:
        return Message(Error(9002, "incident 0123abcd"), reply_to=request)

    grid.nodes[2].answer = fail  # type: ignore[method-assign]
    (heard,) = square(grid, time, rounds=1)
    assert heard[2].reason.startswith("incident 0123abcd")
    assert time.now < 5


@pytest.mark.parametrize("where", ["push_messages", "pull_messages", "get_node_ids"])
def test_a_run_that_was_stopped_ends_and_is_not_asked_again(time: Time, where: str) -> None:
    grid = Faulty([], time)

    def stopped(*_: object) -> Iterable[Any]:
        raise RunIsOver

    setattr(grid, where, stopped)
    ask: Callable[[], object] = lambda: (square(grid, time, 1), list(Resending(grid, clock=time).get_node_ids()))  # noqa: E731
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        ask()


def test_replies_to_repeats_that_were_not_needed_are_taken_out_of_the_superlink(time: Time) -> None:
    grid = Faulty(["request lost", "", "request lost", ""], time)
    slow = grid.sent
    square(grid, time, rounds=3)
    assert not [name for name, (_, fault) in slow.items() if not fault]


def test_send_and_receive_gives_replies_under_the_names_of_their_requests(time: Time) -> None:
    resending = Resending(Faulty(["push raises"], time), clock=time)
    message = Message(to_records(Payload(numbers={"n": 5})), 2, "train.round", ttl=60.0)
    (reply,) = resending.send_and_receive([message], timeout=30.0)
    assert from_records(reply.content, 0).numbers == {"square": 25}
    assert resending.repeats == 1
