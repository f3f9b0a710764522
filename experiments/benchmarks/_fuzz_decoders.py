"""Every reader of what the other side sent, with valid messages to begin from.

Server and hospital stand for the whole path: where a protocol has legs, the server's half is the round itself with
one reply changed, and a hospital's half is its answer to one changed request.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from signal import SIGKILL
from typing import Any

import numpy as np
from flwr.app import Message

from client.node import Config, Node, load_app
from common.learning.client_work import Work
from common.metrics.roc import ScoreHistogram
from common.sums.aggregation import Aggregation
from common.sums.aggregations._agreement import Agreement, read_agreement, with_agreement
from common.sums.aggregations.additive import AdditiveSharing
from common.sums.aggregations.bfv import Bfv
from common.sums.aggregations.ckks import Ckks
from common.sums.aggregations.plain import Plain
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Number, Payload, Word
from common.sums.mean import Mean, excessive, merge
from common.wire.decoding import statistics_from_numbers, statistics_to_numbers
from common.wire.long_form import Buffer
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import Order, from_payload, to_payload
from experiments.benchmarks._fuzz_inputs import Input
from experiments.benchmarks._fuzz_rounds import Recorded
from experiments.benchmarks._fuzz_study import LENGTH, own_folder, tiny_study
from experiments.engines._local_grid import LocalGrid, Poll, new_run
from server.members import member
from server.told_statistics import values
from server.transport import Conversation, Heard

LARGEST_ARRAY, LARGEST_DATA = 1 << 20, 1 << 22
"""Numbers and bytes that a message may hold in these trials."""
Read = Callable[[Any], bool]
"""Whether the input was taken; raises WireError where it was refused, and anything else is a fault."""


@dataclass(frozen=True)
class Case:
    """One reader, and valid inputs of it."""

    samples: Sequence[Input]
    read: Read


@dataclass(frozen=True)
class Decoder:
    """share: of all inputs, relative to the others, the less the longer one takes. cases: made in the process."""

    name: str
    side: str
    share: int
    cases: Callable[[], Sequence[Case]]


def _identified() -> None:
    identify(run_id=1, node_id=1)


def _messages() -> list[bytes]:
    _identified()
    payloads = [_order(), *_hellos(), _scores(), _protocol(), Payload(data=np.arange(99, dtype=np.uint8))]
    kinds = ["train.round", "query.hello", "evaluate.model", "query.protocol", "train.local"]
    return [to_bytes(Message(to_records(one), 1, kind)) for one, kind in zip(payloads, kinds, strict=True)]


def _read_message(data: bytes) -> bool:
    message = from_bytes(data)
    if not message.has_error():
        from_records(message.content, LARGEST_ARRAY, LARGEST_DATA)
    return True


def _read_reply(data: bytes) -> bool:
    """From a hospital's bytes to what the rounds are told of them."""
    grid = LocalGrid("inline", _Says(data), 1, new_run(1), None, 1)
    (heard,) = [
        event
        for event in Conversation(grid, LARGEST_ARRAY, LARGEST_DATA).converse("round", {2: Payload()}, 5.0)
        if isinstance(event, Heard)
    ]
    return heard.payload is not None


@dataclass(frozen=True)
class _Says:
    data: bytes

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        return lambda: self.data


def _hellos() -> list[Payload]:
    numbers: dict[str, Number] = {
        f"{kind}/{name}": 9 for kind in ("cases", "patients") for name in ("train", "validation", "test")
    }
    words: dict[str, Word] = {"site": "north", "classes": ["0", "1"]}
    return [Payload(None, {**numbers, "quarantined": 0, "shape": [1, 6, 6], "labels": [4, 5]}, words)]


def _read_hello(payload: Payload) -> bool:
    member(payload)
    return True


def _scores() -> Payload:
    histogram = ScoreHistogram.of(np.linspace(-3, 3, 9), np.arange(9) % 2 == 0)
    return Payload(None, statistics_to_numbers("test", {"dice": Mean.of([0.5, 0.7]), **histogram.statistics()}))


def _some_scores() -> list[Payload]:
    few = Payload(None, statistics_to_numbers("test", {"dice": Mean.of([0.5]), "accuracy": Mean.of([1.0, 0.0])}))
    return [few, few, few, few, _scores()]


def _read_scores(payload: Payload) -> bool:
    """Beside those of another hospital."""
    other = statistics_from_numbers("test", _scores().numbers)
    found = {"north": statistics_from_numbers("test", payload.numbers), "south": other}
    left_out = excessive(found)
    values(merge(part for site, part in found.items() if site not in left_out))
    return not left_out


def _order() -> Payload:
    study = tiny_study()
    return to_payload(Order(study.json, 2, np.zeros(LENGTH, np.float32), Work("delta"), None, ("validation",)))


def _read_order(payload: Payload) -> bool:
    from_payload(payload)
    return True


def _agreement() -> Payload:
    agreement = Agreement(("ada", "bea", "cyd"), 24, 1, ("training/loss",), 9.0, 0.5)
    return with_agreement(_order(), agreement)


def _protocol() -> Payload:
    asked = with_agreement(Payload(), Agreement(("ada", "bea"), 4, 1, (), 1.0))
    words = {**asked.words, "study": tiny_study().json, "leg": "keys"}
    return replace(asked, words=words, numbers={**asked.numbers, "round": 1})


def _read_agreement(payload: Payload) -> bool:
    read_agreement(payload)
    return True


def _node_cases() -> list[Case]:
    """A whole simulated hospital, which must answer anything with bytes."""
    config: Config = {
        "site-index": 0,
        "partition-id": 0,
        "num-partitions": 4,
        "simulated": True,
        "folder": str(own_folder()),
    }
    node = Node(load_app("client.app:app"), 1, 1, config)

    def read(data: bytes) -> bool:
        return len(node.answer(data)) > 0

    return [Case(_messages(), read)]


def _server_cases(make: Callable[[], Aggregation]) -> list[Case]:
    recorded = Recorded.of(make())
    return [
        Case([recorded.replies[leg, site], *_others(recorded.replies, leg)], recorded.server_half(leg, site))
        for leg, site in recorded.legs
    ]


def _hospital_cases(make: Callable[[], Aggregation]) -> list[Case]:
    recorded = Recorded.of(make())
    return [
        Case([recorded.requests[leg, site], *_others(recorded.requests, leg)], recorded.hospital_half(leg, site))
        for leg, site in recorded.legs
    ]


def _others(messages: Mapping[tuple[str, str], Payload], leg: str) -> list[Payload]:
    return [payload for (own, _), payload in messages.items() if own == leg][:2]


def _of(make: Callable[[], Sequence[Input]], read: Read) -> Callable[[], Sequence[Case]]:
    return lambda: [Case(make(), read)]


def _planted_cases() -> list[Case]:
    """A reader with faults, which must be noticed."""

    def read(data: bytes) -> bool:
        if len(data) % 3 == 0:
            os.kill(os.getpid(), SIGKILL)
        return 1 / (len(data) % 3 - 1) > 0

    return [Case([data for data in _messages() if len(data) % 3], read)]


PROTOCOLS: Mapping[str, tuple[Callable[[], Aggregation], int]] = {
    "plain": (Plain, 80),
    "secagg": (SecureAggregation, 12),
    "additive": (AdditiveSharing, 15),
    "bfv, distributed keys": (Bfv, 6),
    "bfv, shared key": (lambda: Bfv(keys="shared"), 3),
    "ckks, economical": (lambda: Ckks(mode="economical"), 3),
    "ckks, tutorial": (Ckks, 1),
}
"""How each is made, and its share."""
SERVER, HOSPITAL = "coordinator", "hospital"
PLANTED = Decoder("planted faults", "nobody", 0, _planted_cases)
DECODERS: Mapping[str, Decoder] = {
    one.name: one
    for one in (
        Decoder("a message, its records", SERVER, 100, _of(_messages, _read_message)),
        Decoder("a reply, from bytes to the round", SERVER, 30, _of(_messages, _read_reply)),
        Decoder("a hospital's introduction", SERVER, 200, _of(_hellos, _read_hello)),
        Decoder("scores", SERVER, 50, _of(_some_scores, _read_scores)),
        *(
            Decoder(f"{name}: replies", SERVER, share, partial(_server_cases, make))
            for name, (make, share) in PROTOCOLS.items()
        ),
        Decoder("an order", HOSPITAL, 210, _of(lambda: [_order()], _read_order)),
        Decoder("an agreement", HOSPITAL, 220, _of(lambda: [_agreement()], _read_agreement)),
        Decoder("a request, by the whole hospital", HOSPITAL, 4, _node_cases),
        *(
            Decoder(f"{name}: requests", HOSPITAL, share, partial(_hospital_cases, make))
            for name, (make, share) in PROTOCOLS.items()
            if name != "plain"
        ),
    )
}


def decoder(name: str) -> Decoder:
    """One of them, or the planted one."""
    return PLANTED if name == PLANTED.name else DECODERS[name]
