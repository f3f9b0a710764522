"""Whatever the other side sends: a message is dropped by name and reason, and no process ends."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Error, Message, RecordDict
from flwr.clientapp import ClientApp

from client.node import Node
from common.data.cases import SiteId
from common.errors import EngineError, TooFewHospitalsError, WireError
from common.sums.aggregation import Aggregation
from common.sums.aggregations._legs import Legs
from common.sums.aggregations.bfv import Bfv
from common.sums.aggregations.ckks import Ckks
from common.sums.aggregations.plain import Plain
from common.sums.exchange import Payload
from common.sums.mean import LARGEST_UNITS, Mean
from common.sums.update import Update
from common.wire import flower_inside
from common.wire.long_form import Buffer
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import to_records
from experiments.engines._local_grid import LocalGrid, Poll, new_run
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates
from server.transport import Conversation, Heard

VILLAIN, OTHERS = "hospital-01", ("hospital-00", "hospital-02", "hospital-03")
SHARED: Mapping[str, Callable[[], Aggregation]] = {
    "bfv": lambda: Bfv(keys="shared"),
    "ckks economical": lambda: Ckks(mode="economical"),
    "ckks tutorial": Ckks,
}


@dataclass
class OneSends(InMemoryExchange):
    """One hospital's reply to a leg is `sent`, or the request that it gets."""

    leg: str = "round"
    sent: Payload = field(default_factory=Payload)
    to_hospital: bool = False

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        changed = {site: replace(one, data=self.sent.data) for site, one in requests.items()}
        replies = super().ask(leg, changed if leg == self.leg and self.to_hospital else requests)
        if leg == self.leg and VILLAIN in replies and not self.to_hospital:
            replies[VILLAIN] = self.sent
        return replies


def crafted(kind: str, seeded: bool) -> Payload:
    """A block as SEAL saves it, whose inner header claims to be compressed and of 2**31 bytes: its loader aborts."""
    import tenseal.sealapi as seal

    scheme = {"bfv": seal.SCHEME_TYPE.BFV}.get(kind, seal.SCHEME_TYPE.CKKS)
    degree, bits = {"bfv": (4096, [60]), "ckks economical": (2048, [40])}.get(kind, (8192, [60, 40, 40, 60]))
    parameters = seal.EncryptionParameters(scheme)
    parameters.set_poly_modulus_degree(degree)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(degree, bits))
    if kind == "bfv":
        parameters.set_plain_modulus(1 << 46)
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    primes = max(1, len(bits) - 1)
    sizes = (2, degree, primes, 2.0**40 if kind == "ckks tutorial" else 1.0, 1)
    members = struct.pack("<4QBQQQdQ", *context.first_parms_id(), kind != "bfv", *sizes)
    inner = struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 2, 0, 1 << 31)
    length = 73 + 24 + 8 * degree * primes * (1 if seeded else 2) + (81 if seeded else 0)
    content = (members + inner).ljust(length, b"\x00")
    frame = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", length)
    for start in range(0, length, 1 << 17):
        part = content[start : start + (1 << 17)]
        frame += (len(part) << 3 | (start + (1 << 17) >= length)).to_bytes(3, "little") + part
    block = struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 2, 0, 16 + len(frame)) + frame
    if kind == "ckks tutorial":
        octets = [len(block) >> 7 * place & 0x7F for place in range(3)]
        octets = [octets[0] | 0x80, octets[1] | 0x80, octets[2]]
        block = b"\x0a\x02\x80\x20\x12" + bytes(octets) + block + b"\x19" + struct.pack("<d", 2.0**40)
    return Payload(data=np.frombuffer(struct.pack("<I", len(block)) + block, np.uint8))


def play(kind: str, leg: str) -> None:
    """In a process of its own. Ends with an exception where anybody but the villain is the worse for it."""
    updates = random_updates(4, 10, np.random.default_rng(0))
    fresh = leg == "round"
    exchange = OneSends(
        SHARED[kind](), updates, leg=leg, sent=crafted(kind, fresh and kind != "ckks tutorial"), to_hospital=not fresh
    )
    collected = collect(exchange)
    if fresh:
        assert collected.sites == OTHERS, exchange.dropped
    else:
        assert {site for site, *_ in exchange.refused} == set(updates), exchange.refused


def play_all() -> None:
    """Each in a fork of one process that imported everything, its exit status printed."""
    for kind in SHARED:
        for leg in ("round", "decrypt"):
            child = os.fork()
            if not child:
                play(kind, leg)
                os._exit(0)
            sys.stdout.write(f"{kind},{leg},{os.waitpid(child, 0)[1]}\n")
            sys.stdout.flush()


@pytest.fixture(scope="module")
def statuses() -> dict[tuple[str, str], int]:
    folder = Path(__file__).parent
    code = f"import sys; sys.path[:0] = {[str(folder), str(folder.parents[1])]}; import {Path(__file__).stem} as own"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; own.play_all()"], capture_output=True, text=True, timeout=500
    )
    rows = [line.split(",") for line in done.stdout.splitlines()]
    return {(kind, leg): int(status) for kind, leg, status in rows}


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("leg", ["round", "decrypt"])
def test_a_crafted_ciphertext_ends_neither_the_coordinator_nor_a_hospital(
    statuses: dict[tuple[str, str], int], kind: str, leg: str
) -> None:
    assert statuses[kind, leg] == 0


def test_a_vector_of_another_scale_is_refused_by_name() -> None:
    """TenSEAL's vectors say their scale twice; the inner one used to raise out of the round where it was added."""
    import tenseal

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2.0**30
    vector = tenseal.ckks_vector(context, [0.0] * 4096).serialize()[:-8] + struct.pack("<d", 2.0**40)
    sent = Payload(data=np.frombuffer(struct.pack("<I", len(vector)) + vector, np.uint8))
    exchange = OneSends(Ckks(), random_updates(4, 10, np.random.default_rng(0)), sent=sent)
    assert collect(exchange).sites == OTHERS
    assert [site for site, *_ in exchange.dropped] == [VILLAIN]


@pytest.mark.parametrize("kind", SHARED)
def test_a_sum_to_decrypt_that_hides_nothing_is_refused(kind: str) -> None:
    """Zeros where the key would be multiplied in: the hospital would open the coordinator's own number."""
    aggregation = SHARED[kind]()
    updates = random_updates(4, 10, np.random.default_rng(0))
    honest = InMemoryExchange(aggregation, updates)
    collect(honest)
    ((request,),) = [[one.request for one in honest.crossed if one.leg == "decrypt"]]
    assert request.data is not None
    data = request.data.copy()
    data[data.size // 2 :] = 0
    exchange = OneSends(aggregation, updates, leg="decrypt", sent=Payload(data=data), to_hospital=True)
    assert collect(exchange).total is None
    assert all("zeros" in reason for _, _, reason in exchange.refused)


@dataclass(frozen=True)
class Says:
    """A transport whose hospital answers with bytes, whatever it is asked."""

    data: bytes

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        return lambda: self.data


def heard_of(data: bytes) -> Heard:
    identify(1, 1)
    grid = LocalGrid("inline", Says(data), 1, new_run(1), None, 1)
    events = Conversation(grid, 100, 100).converse("round", {2: Payload()}, 5.0)
    (heard,) = [event for event in events if isinstance(event, Heard)]
    return heard


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 50, b"\x0a", b"\x12\x04\x0a\x02\x0a\x00", bytes(1000), b"Jane Doe, born 1950-02-03"],
    ids=["nothing", "ones", "cut short", "no record", "zeros", "text"],
)
def test_bytes_that_are_no_flower_message_drop_their_sender_alone(data: bytes) -> None:
    heard = heard_of(data)
    assert heard.payload is None
    assert heard.reason
    assert "Jane" not in heard.reason


def test_a_reply_in_the_engines_name_is_not_repeated() -> None:
    identify(1, 2)
    forged = Message(Error(9001, "Jane Doe, born 1950-02-03"), reply_to=Message(RecordDict(), 2, "train.round"))
    heard = heard_of(to_bytes(forged))
    assert heard.payload is None
    assert "Jane" not in heard.reason


class Grid:
    """Flower's, as far as it is needed here: a reply that raises when it is pulled, beside one that does not."""

    def __init__(self) -> None:
        self.sent: dict[str, Message] = {}

    def push_messages(self, messages: list[Message]) -> list[str]:
        (message,) = messages
        self.sent[str(message.metadata.dst_node_id)] = message
        return [str(message.metadata.dst_node_id)]

    def pull_messages(self, message_ids: list[str]) -> list[Message]:
        if "2" in message_ids:
            raise ZeroDivisionError("Jane Doe, born 1950-02-03")
        return [Message(to_records(Payload(numbers={"a": 1})), reply_to=self.sent[one]) for one in message_ids]


def test_a_reply_that_flower_itself_cannot_read_drops_its_sender_alone() -> None:
    identify(1, 1)
    events = Conversation(Grid()).converse("round", {2: Payload(), 3: Payload()}, 5.0)  # type: ignore[arg-type]
    heard = {event.node: event for event in events if isinstance(event, Heard)}
    assert heard[3].payload is not None
    assert heard[2].payload is None
    assert "ZeroDivisionError" in heard[2].reason and "Jane" not in heard[2].reason


@pytest.mark.parametrize("request_bytes", [b"\xff" * 9, b"\x12\x02\x0a\x00", b"\x08"])
def test_a_hospital_asked_in_bytes_that_are_no_message_answers_with_none_and_goes_on(request_bytes: bytes) -> None:
    identify(1, 1)
    app, message = ClientApp(), to_bytes(Message(RecordDict(), 1, "query.hello"))

    @app.query("hello")
    def hello(message: Message, context: object) -> Message:
        return Message(RecordDict(), reply_to=message)

    node = Node(app, 1, 1, {})
    assert node.answer(request_bytes) == b""
    assert from_bytes(node.answer(message)).has_content()


def hostile_sum(**changes: object) -> tuple[tuple[SiteId, ...], list[SiteId]]:
    updates = random_updates(4, 10, np.random.default_rng(0))
    updates = {site: replace(one, statistics={"loss": Mean.of([0.5])}) for site, one in updates.items()}
    exchange = InMemoryExchange(Plain(), updates | {VILLAIN: replace(updates[VILLAIN], **changes)})
    collected = collect(exchange)
    assert collected.total is not None and np.isfinite(collected.total.vectors[0]).all()
    return collected.sites, [site for site, *_ in exchange.dropped]


def test_statistics_that_no_sum_can_hold_drop_their_sender_and_not_those_after_it() -> None:
    large = {"loss": Mean(LARGEST_UNITS, LARGEST_UNITS)}
    assert hostile_sum(statistics=large) == (OTHERS, [VILLAIN])


def test_values_that_no_sum_can_hold_drop_their_sender() -> None:
    assert hostile_sum(vectors=(np.full(10, 3e38, np.float32),)) == (OTHERS, [VILLAIN])


def test_a_leg_drops_whoever_makes_its_reader_raise_anything_and_repeats_no_text() -> None:
    exchange = InMemoryExchange(Plain(), {site: Update((), 1.0) for site in ("ada", "bea")})
    exchange.ask = lambda leg, requests: dict(requests)  # type: ignore[method-assign]

    def accept(site: SiteId, reply: Payload) -> int:
        if site == "ada":
            raise KeyError("Jane Doe")
        return 1

    legs = Legs(exchange, "secagg")
    assert legs.ask("keys", {"ada": Payload(), "bea": Payload()}, accept, 1) == {"bea": 1}
    assert exchange.dropped == [("ada", "keys", "what it sent could not be read (KeyError).")]
    with pytest.raises(TooFewHospitalsError):
        legs.ask("keys", {"ada": Payload()}, accept, 1)


def test_an_engine_that_fails_is_no_hospitals_fault() -> None:
    from common.wire.boundary import guarded

    def read() -> None:
        raise EngineError("the machine is gone.")

    with pytest.raises(EngineError):
        guarded(read)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ((2,), b"\x0a\x00" * 1_000_000),
        ((2, 1, 2), b"\x0a\x00" * 1_000_000),
        ((2, 1, 4, 1, 2, 25), b"\x0a\x00" * 1_000_000),
        ((2, 1, 3, 1, 2, 22), b"\x0a\x80\x89\x7a" + b"\x02" * 2_000_000),
        ((2, 1, 4, 1, 2), b"\x2a\x80\x89\x7a" + b"a" * 2_000_000 + b"\x08\x01" * 200_000),
    ],
    ids=["records", "arrays", "names", "numbers", "text"],
)
def test_a_message_that_would_become_a_million_objects_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, path: tuple[int, ...], content: bytes
) -> None:
    for number in reversed(path):
        size, octets = len(content), []
        while size >= 0x80:
            octets.append(size & 0x7F | 0x80)
            size >>= 7
        tag = number << 3 | 2
        head = bytes([tag & 0x7F | 0x80, tag >> 7]) if tag >= 0x80 else bytes([tag])
        content = head + bytes([*octets, size]) + content
    monkeypatch.setattr(flower_inside, "message_from_bytes", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(WireError, match=r"parts|beside its arrays"):
        from_bytes(content)


def test_a_large_model_is_no_large_outline() -> None:
    identify(1, 1)
    payload = Payload(np.zeros(3_000_000, np.float32), {"round": 1}, {"study": "x" * 9000})
    assert from_bytes(to_bytes(Message(to_records(payload), 1, "train.round"))).has_content()


def test_an_agreement_on_more_numbers_than_a_memory_holds_is_refused_before_any_is_reserved() -> None:
    """A coordinator may ask for any length; the update that is there decides."""
    from common.sums.aggregations._agreement import Agreement
    from common.sums.aggregations._fixed_point import FixedPoint

    agreement = Agreement(("ada", "bea", "cyd"), 1 << 62, 1, (), 1.0)
    with pytest.raises(WireError, match="another model"):
        FixedPoint(24, 1.0).encode(Update((np.zeros(3, np.float32),), 1.0), agreement, np.random.default_rng(0))


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e300])
def test_a_scale_that_nothing_can_be_divided_by_is_refused(scale: float) -> None:
    from common.sums.aggregations._agreement import Agreement
    from common.sums.aggregations._fixed_point import FixedPoint

    agreement = Agreement(("ada", "bea", "cyd"), 3, 1, (), scale)
    with pytest.raises(WireError, match="divided"):
        FixedPoint(24, 1.0).encode(Update((np.ones(3, np.float32),), 1.0), agreement, np.random.default_rng(0))


def test_expected_updates_stay_as_they_were() -> None:
    """The honest round beside all of this."""
    updates = random_updates(4, 10, np.random.default_rng(0))
    exchange = InMemoryExchange(Plain(), updates)
    assert collect(exchange).sites == tuple(sorted(updates))
    assert expected_of(updates).length == 10
