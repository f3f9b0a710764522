"""State that follows the opening, in a folder and in a context: the same rules in both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from client.state_store import Memory
from common.errors import FileError, HospitalError

RUN = "a" * 32
STUDY, OTHER, LONGER = '{"rounds": 3, "seed": 1}', '{"rounds": 3, "seed": 2}', '{"rounds": 9, "seed": 1}'


@pytest.fixture(params=["folder", "context"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Context:
    return Context(1, 1, {"folder": str(tmp_path)} if request.param == "folder" else {}, RecordDict(), {})


def value(context: Context, number: int, study: str = STUDY) -> float | None:
    """What round `number` starts from."""
    vectors = Memory.of(context, study, RUN, number).vectors
    return float(vectors["control"][0]) if vectors else None


def leave(context: Context, number: int, left: float, awaited: bytes | None = None, study: str = STUDY) -> None:
    memory = Memory.of(context, study, RUN, number)
    memory.vectors["control"] = np.float32([left, -left])
    if awaited is not None:
        memory.hold(awaited)
    memory.keep()


def test_what_a_round_leaves_is_there_for_the_next_and_not_for_itself(context: Context) -> None:
    leave(context, 1, 1.5)
    assert (value(context, 1), value(context, 2), value(context, 7)) == (None, 1.5, 1.5)
    np.testing.assert_array_equal(Memory.of(context, STUDY, RUN, 2).vectors["control"], np.float32([1.5, -1.5]))


def test_what_waits_is_seen_by_no_round_until_it_is_committed(context: Context) -> None:
    leave(context, 1, 1.0)
    leave(context, 2, 2.0, b"proof")
    assert value(context, 3) == 1.0
    later = Memory.of(context, STUDY, RUN, 3)
    assert (later.held(2), later.held(1), later.held(3)) == (b"proof", None, None)
    later.commit(1)
    later.commit(3)
    assert value(context, 3) == 1.0
    later.commit(2)
    later.commit(2)
    assert (value(context, 2), value(context, 3), later.held(2)) == (1.0, 2.0, None)


def test_a_round_that_is_never_opened_is_gone_when_another_is_trained(context: Context) -> None:
    leave(context, 1, 1.0)
    leave(context, 2, 1e12, b"never")
    leave(context, 3, 3.0, b"opened")
    memory = Memory.of(context, STUDY, RUN, 4)
    assert memory.held(2) is None
    memory.commit(2)
    assert value(context, 4) == 1.0
    memory.commit(3)
    assert value(context, 4) == 3.0


def test_a_round_asked_for_again_starts_where_it_started_and_its_opening_takes_the_place(context: Context) -> None:
    leave(context, 1, 1.0)
    for left in (2.0, 2.5):
        assert value(context, 2) == 1.0
        leave(context, 2, left, b"")
        Memory.of(context, STUDY, RUN, 2).commit(2)
    assert value(context, 3) == 2.5


def test_no_more_than_three_rounds_are_kept(context: Context) -> None:
    for number in range(1, 6):
        leave(context, number, float(number))
    assert [value(context, number) for number in range(1, 7)] == [None, None, None, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("awaited", [None, b"waits"])
def test_a_second_run_of_a_study_is_not_mixed_up_with_what_the_first_left(
    context: Context, awaited: bytes | None
) -> None:
    leave(context, 29, 29.0)
    leave(context, 30, 30.0)
    for number in (1, 2):
        leave(context, number, float(number), awaited)
        Memory.of(context, STUDY, RUN, number).commit(number)
    assert [value(context, number) for number in (1, 2, 3, 31)] == [None, 1.0, 2.0, 2.0]


def test_studies_are_apart_but_one_made_longer_goes_on(context: Context) -> None:
    leave(context, 1, 1.0)
    leave(context, 1, 7.0, b"waits", OTHER)
    assert (value(context, 2), value(context, 2, OTHER), value(context, 2, LONGER)) == (1.0, None, 1.0)
    Memory.of(context, OTHER, RUN, 2).commit(1)
    assert (value(context, 2), value(context, 2, OTHER)) == (1.0, 7.0)


def test_where_nothing_changed_nothing_is_written(context: Context, tmp_path: Path) -> None:
    memory = Memory.of(context, STUDY, RUN, 1)
    memory.hold(b"")
    memory.keep()
    assert not list(tmp_path.iterdir())
    assert not context.state


def test_damage_to_what_waits_is_named_to_the_hospital(tmp_path: Path) -> None:
    context = Context(1, 1, {"folder": str(tmp_path)}, RecordDict(), {})
    leave(context, 1, 1.0, b"waits")
    (path,) = tmp_path.rglob("pending.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(HospitalError, match=r"pending.safetensors is damaged: remove it"):
        Memory.of(context, STUDY, RUN, 2).held(1)


def test_a_crash_while_it_is_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(1, 1, {"folder": str(tmp_path)}, RecordDict(), {})
    leave(context, 1, 1.0, b"first")
    monkeypatch.setattr("client.atomic_write.os.fsync", lambda handle: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(FileError, match="pending"):
        leave(context, 2, 2.0, b"second")
    monkeypatch.undo()
    assert Memory.of(context, STUDY, RUN, 3).held(1) == b"first"
