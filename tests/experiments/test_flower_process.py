"""Flower's commands run one after the other in one process, which is replaced when it hangs or ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import EngineError
from experiments.engines import _flower_process
from experiments.engines._flower_process import FlowerProcess

PROGRAM = """#!{python}
import sys, time, os
sys.path.insert(0, {root!r})
from experiments.engines._flower_program import run_each
def flwr():
    words = sys.argv[1:]
    if words[0] == "say": print(os.getpid(), *words[1:])
    if words[0] == "refuse": print("no"); sys.exit(3)
    if words[0] == "raise": raise ValueError("broken inside")
    if words[0] == "hang": time.sleep(3600)
    if words[0] == "end": print("my last words", file=sys.stderr, flush=True); os._exit(1)
run_each(flwr, sys.stdin)
"""
ROOT = str(Path(__file__).parents[2])
LONGEST_S = 120.0


@pytest.fixture
def process(tmp_path: Path) -> Iterator[FlowerProcess]:
    program = tmp_path / "flwr-each"
    program.write_text(PROGRAM.format(python=sys.executable, root=ROOT), encoding="utf-8")
    program.chmod(0o700)
    made = FlowerProcess(program, dict(os.environ), tmp_path)
    yield made
    made.end()


def pid(process: FlowerProcess) -> int:
    return int(process.run(["say"], LONGEST_S)[1])


def test_every_command_has_its_own_answer_and_exit_status_in_one_process(process: FlowerProcess) -> None:
    first = pid(process)
    assert process.run(["say", "a", "b"], LONGEST_S) == (0, f"{first} a b\n")
    assert process.run(["refuse"], LONGEST_S) == (3, "no\n")
    code, said = process.run(["raise"], LONGEST_S)
    assert (code, said) == (1, "") and "broken inside" in process.last_words()
    assert pid(process) == first


def test_a_command_that_hangs_ends_its_process_and_not_the_next_command(process: FlowerProcess) -> None:
    first = pid(process)
    with pytest.raises(EngineError, match="flwr hang did not end in its time"):
        process.run(["hang"], 0.2)
    assert pid(process) != first


def test_a_process_that_ends_says_its_last_words_and_is_replaced(process: FlowerProcess) -> None:
    with pytest.raises(EngineError, match="flwr end failed: my last words"):
        process.run(["end"], LONGEST_S)
    first = pid(process)
    os.kill(first, 9)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert pid(process) != first


def test_after_many_commands_another_process_takes_over(
    process: FlowerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_flower_process, "MOST_COMMANDS", 2)
    assert pid(process) == pid(process) != pid(process)
