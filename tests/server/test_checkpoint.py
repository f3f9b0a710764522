from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.errors import RoundError
from common.sums.exchange import OpenedSum
from server.checkpoint import Checkpoint, load, save
from server.opening_proofs import Owed


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = {"momentum": np.linspace(0, 1, 5), "second": np.ones(5)}
    save(tmp_path, Checkpoint(7, np.float32([1.5, -2, 0]), state))
    back = load(tmp_path)
    assert back.round == 7
    assert back.parameters.tobytes() == np.float32([1.5, -2, 0]).tobytes()
    assert {name: value.tobytes() for name, value in back.state.items()} == {
        name: value.tobytes() for name, value in state.items()
    }


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoundError, match="no checkpoint to resume from"):
        load(tmp_path)


def test_a_damaged_checkpoint_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, Checkpoint(1, np.zeros(3, np.float32), {}))
    path = tmp_path / "checkpoint" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(RoundError, match="damaged"):
        load(tmp_path)


def test_what_hospitals_are_owed_comes_back_and_damage_to_it_is_noticed(tmp_path: Path) -> None:
    owed = (Owed(3, OpenedSum(("a", "b", "c"), ("a", "b"), bytes(range(128))), ("c",)),)
    save(tmp_path, Checkpoint(3, np.zeros(2, np.float32), {}, owed))
    assert load(tmp_path).owed == owed
    path = tmp_path / "checkpoint" / "last.safetensors"
    raw = path.read_bytes()
    assert raw.count(b"000102") == 1
    path.write_bytes(raw.replace(b"000102", b"0001xy"))
    with pytest.raises(RoundError, match="damaged"):
        load(tmp_path)
