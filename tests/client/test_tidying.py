"""What a hospital's folder no longer needs goes, and no promise goes with it."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from client import incidents
from client.state_store import Memory
from client.tidying import LEFTOVER_S, OLD_S, RUNS_KEPT, tidy
from common.errors import HospitalError

STUDY = '{"rounds": 3, "seed": 1}'


def left(own: Path, run: int, age_s: float) -> Context:
    """A run that left its state so long ago."""
    context = Context(1, 1, {"folder": str(own)}, RecordDict(), {})
    memory = Memory.of(context, STUDY, f"{run:032x}", 1)
    memory.vectors["control"] = np.float32([run])
    memory.keep()
    (place,) = {path.parent for path in own.rglob("*.safetensors") if path.stat().st_mtime > time() - OLD_S / 2}
    (place / "split.json").write_text("{}")
    for path in place.iterdir():
        os.utime(path, (time() - age_s, time() - age_s))
    return context


def test_old_runs_beyond_those_used_last_lose_their_state_and_keep_their_splits(tmp_path: Path) -> None:
    contexts = [left(tmp_path, run, OLD_S + 1000 - run) for run in range(RUNS_KEPT + 2)]
    removed = tidy(tmp_path)
    assert len(removed) == 2
    assert len(list(tmp_path.rglob("split.json"))) == RUNS_KEPT + 2
    for run in (0, 1):
        with pytest.raises(HospitalError, match="tidied away"):
            Memory.of(contexts[run], STUDY, f"{run:032x}", 2)
    assert Memory.of(contexts[2], STUDY, f"{2:032x}", 2).vectors["control"][0] == 2
    assert tidy(tmp_path) == []


def test_young_runs_keep_their_state_however_many_they_are(tmp_path: Path) -> None:
    for run in range(RUNS_KEPT + 2):
        left(tmp_path, run, OLD_S - 1000)
    assert tidy(tmp_path) == []


def test_halves_of_files_that_a_crash_left_go_once_nobody_can_be_writing_them(tmp_path: Path) -> None:
    for name in (".ledger.0123456789abcdef", "memory/.a.safetensors.0123456789abcdef", ".hidden", "log.torn-1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    assert tidy(tmp_path) == []
    removed = tidy(tmp_path, time() + LEFTOVER_S + 1)
    assert sorted(removed) == [".ledger.0123456789abcdef", "memory/.a.safetensors.0123456789abcdef"]
    assert (tmp_path / ".hidden").exists() and (tmp_path / "log.torn-1").exists()


def test_incidents_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "LARGEST_BYTES", 1000)
    numbers = [incidents.report(ValueError("x" * 300), tmp_path) for _ in range(20)]
    kept = "".join(path.read_text() for path in tmp_path.glob("incidents*"))
    assert numbers[-1] in kept and len(kept) < 5000
