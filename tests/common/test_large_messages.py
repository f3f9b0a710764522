"""Messages of large arrays: the form that copies nothing, and pieces, hostile until checked."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Error, Message
from flwr.clientapp import ClientApp
from hypothesis import given
from hypothesis import strategies as st

from client.node import LARGEST_MESSAGE, Node
from common.errors import WireError
from common.sums.exchange import Payload
from common.wire import long_form
from common.wire.flower_inside import identify
from common.wire.message_bytes import (
    content_from_bytes,
    content_to_bytes,
    from_bytes,
    from_own_bytes,
    size_of,
    to_parts,
)
from common.wire.objects import Weighed
from common.wire.packing import packed, unpacked
from common.wire.pieces import Gathering, in_pieces, is_piece
from common.wire.records import from_records, to_records


@pytest.fixture
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of arrays count as large."""
    monkeypatch.setattr(long_form, "LONG_FROM", 1)


def payload(numbers: int = 5, octets: int = 7) -> Payload:
    array = np.arange(numbers, dtype=np.float32) - np.float32(0.1)
    return Payload(array, {"weight": 2.0}, {"study": "{}"}, np.arange(octets, dtype=np.uint8))


def message(of: Payload) -> Message:
    identify(5, 1)
    return Message(to_records(of), 3, "train.round", ttl=3.0, group_id="round")


def same(one: Payload, other: Payload) -> bool:
    assert one.array is not None and other.array is not None and one.data is not None and other.data is not None
    arrays = one.array.tobytes() == other.array.tobytes() and one.data.tobytes() == other.data.tobytes()
    return arrays and (one.numbers, one.words) == (other.numbers, other.words)


@pytest.mark.usefixtures("_long")
@pytest.mark.parametrize("numbers", [0, 1, 16, 1000])
def test_a_long_message_comes_back_to_the_bit_and_its_size_is_known_before_it_is_made(numbers: int) -> None:
    sent = message(payload(numbers))
    data = b"".join(to_parts(sent))
    assert long_form.has_mark(data)
    assert size_of(sent) == len(data)
    for read in (from_bytes, from_own_bytes):
        back = read(data)
        assert back.metadata.message_type == "train.round"
        assert same(from_records(back.content, 1000, 10), payload(numbers))


@pytest.mark.usefixtures("_long")
def test_arrays_that_came_are_parts_of_what_came_and_no_copies() -> None:
    data = bytearray(b"".join(to_parts(message(payload()))))
    array = from_records(from_bytes(memoryview(data)).content, 5, 7).array
    assert array is not None
    before = array.copy()
    data[-7 - 20 : -7] = bytes(20)
    assert before.any()
    assert not array.any()
    assert not array.flags.writeable


@pytest.mark.usefixtures("_long")
def test_a_large_content_is_packed_without_protocol_buffers_and_unpacked_again() -> None:
    records = to_records(payload())
    assert long_form.has_mark(content_to_bytes(records))
    assert same(from_records(content_from_bytes(content_to_bytes(records)), 5, 7), payload())
    assert same(from_records(unpacked(packed(records)), 5, 7), payload())


@pytest.mark.usefixtures("_long")
@given(st.data())
def test_a_long_message_that_was_changed_anywhere_is_read_as_another_or_refused(data: st.DataObject) -> None:
    whole = b"".join(to_parts(message(payload())))
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    changed = (
        whole[:at] if cut else whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    )
    try:
        from_records(from_bytes(changed).content, 5, 7)
    except WireError:
        return
    assert not cut


@pytest.mark.usefixtures("_long")
def test_lengths_that_do_not_fit_and_forms_without_such_arrays_are_refused() -> None:
    (head, *arrays) = to_parts(message(payload()))
    for parts in ([head], [head, *arrays, b"x"], [head, arrays[0]]):
        with pytest.raises(WireError, match="not as long as its arrays"):
            from_bytes(b"".join(parts))
    form, _ = long_form.taken_apart(b"".join([head, *arrays]))
    number = np.array([len(form), 1, 27], "<u8").tobytes()
    short = long_form.MARK + number + form
    with pytest.raises(WireError, match="does not fit its arrays"):
        from_bytes(short + bytes(-len(short) % 64) + bytes(27))
    with pytest.raises(WireError, match="cut short"):
        from_bytes(long_form.MARK + b"\xff")
    with pytest.raises(WireError, match="more than 4096 arrays"):
        from_bytes(long_form.MARK + np.array([0, 1 << 40], "<u8").tobytes())
    bare = b"".join(to_parts(Message(Error(3, "lost"), reply_to=message(payload()))))
    errors = long_form.MARK + np.array([len(bare), 0], "<u8").tobytes() + bare
    with pytest.raises(WireError, match="holds none"):
        from_bytes(errors + bytes(-len(errors) % 64))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.integers(1, 20))
def test_pieces_make_the_whole_again_whatever_its_parts(parts: list[bytes], size: int) -> None:
    whole, pieces = b"".join(parts), list(in_pieces(parts, size))
    if len(whole) <= size:
        assert pieces == [whole]
        return
    gathering = Gathering(len(whole))
    assert all(map(is_piece, pieces))
    *first, last = [gathering.take(piece) for piece in pieces]
    assert first == [None] * (len(pieces) - 1)
    assert last is not None
    assert last.tobytes() == whole


def test_a_piece_that_is_doubled_missing_changed_or_of_another_message_is_refused() -> None:
    data = bytes(range(100))
    pieces, others = list(in_pieces([data], 30)), list(in_pieces([data], 30))
    hostile = {
        "piece 0 of a message came; 1 was due": [pieces[0], pieces[0]],
        "piece 2 of a message came; 1 was due": [pieces[0], pieces[2]],
        "piece 1 of a message came; 0 was due": [pieces[1]],
        "another message": [pieces[0], others[1]],
        "digest": [pieces[0], pieces[1][:-1] + b"?"],
        "29 bytes; 30 were due": [pieces[0], pieces[1][:-1]],
        "11 bytes; 10 were due": [*pieces[:3], pieces[3] + b"?"],
        "cut short": [pieces[0][:50]],
    }
    for said, came in hostile.items():
        gathering = Gathering()
        with pytest.raises(WireError, match=said):
            [gathering.take(piece) for piece in came]


def test_no_more_is_gathered_than_was_said_beforehand_and_nothing_for_a_piece_that_never_ends() -> None:
    first, *_ = in_pieces([bytes(100)], 30)
    with pytest.raises(WireError, match="100 bytes was announced; at most 99"):
        Gathering(99).take(first)
    size = slice(32, 40)
    for claimed, said in ((1 << 62, "was announced"), (20, "fits into one piece"), (30, "fits into one piece")):
        hostile = bytearray(first)
        hostile[size] = claimed.to_bytes(8, "little")
        with pytest.raises(WireError, match=said):
            Gathering().take(bytes(hostile))


def test_a_node_answers_nothing_that_is_larger_than_what_it_says_it_takes() -> None:
    def answered(room: int) -> int:
        app = ClientApp()
        app.query()(lambda request, context: Message(request.content, reply_to=request))
        return len(Node(app, 2, 5, {LARGEST_MESSAGE: room}).answer(data))

    identify(5, 1)
    data = b"".join(to_parts(Message(to_records(payload()), 2, "query", ttl=3.0)))
    assert answered(len(data)) > len(data) // 2
    assert answered(len(data) - 1) == 0


def test_an_announced_message_weighs_no_more_than_a_node_lets_in() -> None:
    chunk = b"ArrayChunk  100\0" + bytes(100)
    weighed = Weighed(2 * len(chunk))
    weighed.add(chunk)
    weighed.add(chunk)
    with pytest.raises(WireError, match=f"more than {2 * len(chunk)} bytes"):
        weighed.add(chunk)
