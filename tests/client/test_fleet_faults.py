"""A node before a stock SuperLink whose front loses answers, dies, lies, and whose own life ends at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from client.approved_studies import APPROVED, digest_of
from client.audit_log import verify
from client.fleet import loop as loops
from client.fleet.answering import Answers
from client.fleet.connection import Connection, connect_plainly
from client.fleet.inbox import Inbox
from client.fleet.loop import Loop, RefusedForGoodError
from client.fleet.outbox import Outbox
from client.fleet.presence import Presence
from common.wire.packing import packed, unpacked
from tests.client.stock_link import Fault, Link, stock_link

STUDY = '{"title": "x"}'
STEPS = ("pull", "put", "object", "confirm", "answer", "keep", "push", "push object", "done")
RUN = "0123456789abcdef" * 2


class Killed(BaseException):
    """Not an Exception: nothing on the way tidies up after it, as nothing does after kill -9."""


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    with stock_link() as one:
        yield one


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, link: Link) -> None:
    monkeypatch.setattr(loops, "BUSY_POLL_S", 0.01)
    monkeypatch.setattr(loops, "IDLE_POLL_S", 0.01)
    monkeypatch.setattr(loops, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(loops, "LONGEST_PAUSE_S", 0.05)
    link.faults.clear()
    link.calls.clear()


@dataclass
class Hospital:
    """A node's folder, key and program, which live longer than any one node."""

    link: Link
    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))
    answered: list[str] = field(default_factory=list)
    ended: list[BaseException] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    node_id: int = 0

    def __post_init__(self) -> None:
        (self.folder / APPROVED).write_text(digest_of(STUDY))
        self.link.register(self.connection().identity.public_key)
        self.node_id = Presence(self.connections[0], self.folder).ensure()

    def connection(self) -> Connection:
        self.connections.append(connect_plainly(self.link.url, self.key))
        return self.connections[-1]

    def app(self) -> ClientApp:
        app = ClientApp()

        @app.train("round")
        def train(message: Message, _: Context) -> Message:
            self.answered.append(message.metadata.message_type)
            numbers = MetricRecord({"answer": len(self.answered)})
            return Message(RecordDict({"numbers": numbers, "array": vector(7.0)}), reply_to=message)

        @app.query("hello")
        def hello(message: Message, _: Context) -> Message:
            self.answered.append(message.metadata.message_type)
            return Message(RecordDict({"numbers": MetricRecord({"answer": len(self.answered)})}), reply_to=message)

        return app

    def loop(self, step: Callable[[str], None] = lambda name: None, patience_s: float = 60.0) -> Loop:
        connection, outbox, app = self.connection(), Outbox(self.folder), self.app()
        config = {"folder": str(self.folder)}
        answers = lambda node_id: Answers(  # noqa: E731
            app, node_id, config, outbox, self.folder, lambda: connection.identity.ahead_s
        )
        presence = Presence(connection, self.folder)
        return Loop(connection, presence, Inbox(self.folder), outbox, answers, Event(), patience_s, step)

    @contextmanager
    def running(self, step: Callable[[str], None] = lambda name: None) -> Iterator[Loop]:
        one = self.loop(step)
        thread = Thread(target=self._run, args=(one,), daemon=True)
        thread.start()
        try:
            yield one
        finally:
            one.stop.set()
            thread.join(60)
            assert not thread.is_alive()

    def _run(self, one: Loop) -> None:
        try:
            one.run()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.ended.append(error)


@pytest.fixture
def hospital(link: Link, tmp_path: Path) -> Iterator[Hospital]:
    one = Hospital(link, tmp_path)
    link.calls.clear()
    yield one
    for connection in one.connections:
        connection.calls.close()


def vector(value: float) -> ArrayRecord:
    data = np.full(50, value, "<f4")
    return ArrayRecord({"flat": Array("float32", (50,), "wardround.float32", data.tobytes())})


def order(number: int = 1) -> RecordDict:
    words = ConfigRecord({"study": STUDY, "run": RUN})
    return RecordDict({"words": words, "numbers": MetricRecord({"round": number}), "array": vector(number)})


def once(word: str, fault: str | int | bytes) -> Fault:
    left = [fault]
    return lambda path, body: left.pop() if path == word and left else None


def killing(at: str) -> Callable[[str], None]:
    def step(name: str) -> None:
        if name == at:
            raise Killed(name)

    return step


def answer_of(reply: Message) -> object:
    record = unpacked(reply.content)["numbers"]
    return record["answer"]


WORDS = ("pull-object", "confirm-message-received", "push-messages", "push-object")


@pytest.mark.parametrize("fault", ["lost", "dead", 502, 429, b"\xff\xff\xff"], ids=str)
@pytest.mark.parametrize("word", WORDS)
def test_an_answer_that_is_lost_or_wrong_costs_a_repeat_and_no_second_work(
    hospital: Hospital, link: Link, word: str, fault: str | int | bytes
) -> None:
    link.faults.append(once(word, fault))
    run = link.new_run()
    with hospital.running():
        name = link.ask(run, hospital.node_id, "train.round", order())
        assert answer_of(link.await_reply(run, name)) == 1
    assert hospital.answered == ["train.round"]


def test_a_request_that_is_lost_with_the_answer_to_a_pull_is_answered_when_it_is_asked_again(
    hospital: Hospital, link: Link
) -> None:
    run = link.new_run()
    name = link.ask(run, hospital.node_id, "train.round", order())
    link.faults.append(once("pull-messages", "lost"))
    with hospital.running():
        again = link.ask(run, hospital.node_id, "train.round", order())
        assert answer_of(link.await_reply(run, again)) == 1
    assert link.reply(run, name) is None


@pytest.mark.parametrize(("at", "packs"), [*((at, False) for at in STEPS), ("answer", True), ("keep", True)])
def test_a_node_that_is_killed_at_any_step_loses_nothing_and_answers_nothing_twice(
    hospital: Hospital, link: Link, at: str, packs: bool
) -> None:
    run, content = link.new_run(), packed(order()) if packs else order()
    name = link.ask(run, hospital.node_id, "train.round", content)
    with hospital.running(killing(at)):
        deadline = monotonic() + 60
        while not hospital.ended:
            assert monotonic() < deadline
            sleep(0.005)
    assert isinstance(hospital.ended[0], Killed)
    link.calls.clear()
    with hospital.running():
        if at == "put":  # handed out, and nowhere: only who asked can ask again
            name = link.ask(run, hospital.node_id, "train.round", content)
        reply = link.await_reply(run, name)
        again = link.await_reply(run, link.ask(run, hospital.node_id, "train.round", content))
    assert again.content == reply.content
    assert len(hospital.answered) == (2 if at == "keep" else 1)
    assert "activate-node" not in link.calls


def test_the_repeat_of_what_was_answered_last_gets_the_same_bytes_and_brings_no_download(
    hospital: Hospital, link: Link
) -> None:
    run = link.new_run()
    with hospital.running():
        first = link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))
        link.calls.clear()
        again = link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))
        assert link.calls.count("pull-object") == 1  # the message itself: who asks, and when
        other = link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order(2)))
        anew = link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))
    assert again.content == first.content
    *_, line = (hospital.folder / "log.jsonl").read_text().splitlines()
    assert '"event":"repeated"' in line.replace(" ", "") and verify(hospital.folder).fault is None
    assert [answer_of(one) for one in (first, again, other, anew)] == [1, 1, 2, 3]


def test_the_reply_of_a_run_that_went_on_under_another_name_of_flowers_is_repeated_but_a_hello_is_not(
    hospital: Hospital, link: Link
) -> None:
    before, after = link.new_run(), link.new_run()
    with hospital.running():
        for kind, expected in (("train.round", [1, 1]), ("query.hello", [2, 3])):
            replies = [
                link.await_reply(run, link.ask(run, hospital.node_id, kind, order())) for run in (before, after)
            ]
            assert [answer_of(one) for one in replies] == expected


def test_nothing_is_repeated_of_a_study_that_is_no_longer_approved(hospital: Hospital, link: Link) -> None:
    run = link.new_run()
    with hospital.running():
        link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))
        (hospital.folder / APPROVED).write_text("")
        link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))
    assert len(hospital.answered) == 2


def test_a_message_of_a_kind_that_the_program_does_not_know_gets_an_incidents_number(
    hospital: Hospital, link: Link
) -> None:
    run = link.new_run()
    with hospital.running():
        reply = link.await_reply(run, link.ask(run, hospital.node_id, "query.steal", order()))
        assert reply.error.code == 9002
        assert answer_of(link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))) == 1


def test_a_run_that_is_over_is_let_go(hospital: Hospital, link: Link) -> None:
    over, goes_on = link.new_run(), link.new_run()
    link.ask(over, hospital.node_id, "train.round", order())
    with hospital.running(lambda step: link.end_run(over) if step == "push" and not hospital.ended else None):
        deadline = monotonic() + 60
        while not hospital.answered:
            assert monotonic() < deadline
            sleep(0.005)
        hospital.ended.append(AssertionError())
        assert answer_of(link.await_reply(goes_on, link.ask(goes_on, hospital.node_id, "train.round", order(3)))) == 2
    assert not list(Inbox(hospital.folder).waiting())


@pytest.mark.parametrize(("status", "said"), [(401, "signature"), (403, "certificate"), (404, "front")])
def test_a_refusal_that_lasts_ends_the_node_and_names_the_remedy(
    hospital: Hospital, link: Link, status: int, said: str
) -> None:
    link.faults.append(lambda word, body: status)
    with pytest.raises(RefusedForGoodError, match=said):
        hospital.loop(patience_s=0.05).run()


def test_a_node_that_nobody_registered_says_so(hospital: Hospital) -> None:
    hospital.key = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(RefusedForGoodError, match=r"register keys/node\.pub"):
        hospital.loop(patience_s=0.05).run()


def test_a_clock_that_differs_is_noticed_and_set_right_for_the_coordinator(hospital: Hospital, link: Link) -> None:
    run = link.new_run()
    one = hospital.loop()
    one.connection.identity.ahead_s = -600.0  # requests are dated ten minutes from now, which a SuperLink refuses
    thread = Thread(target=one.run, daemon=True)
    thread.start()
    assert answer_of(link.await_reply(run, link.ask(run, hospital.node_id, "train.round", order()))) == 1
    one.stop.set()
    thread.join(60)
    assert abs(one.connection.identity.ahead_s) < 5
