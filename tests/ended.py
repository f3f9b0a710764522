"""Another program, run to its end: one that hangs costs its time and says what it said, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

LONGEST_S = 300.0
"""Half of what a test has: whatever is run takes seconds, on a machine that does much else besides."""


def ended(
    command: Sequence[object],
    check: bool = False,
    said_to: str | None = None,
    longest_s: float = LONGEST_S,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with its output as text, but that all of its processes are killed after so long.

    Args:
        command: program and words.
        check: whether it must exit with 0.
        said_to: on its standard input.
        longest_s: seconds it may take.
        options: of `subprocess.Popen`.

    Raises:
        AssertionError: it took longer, or failed where it must not; with what it said.
    """
    words = [os.fspath(one) if isinstance(one, os.PathLike) else str(one) for one in command]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(words, text=True, start_new_session=True, **pipes, **options) as process:
        late = False
        try:
            out, err = process.communicate(said_to, timeout=longest_s)
        except subprocess.TimeoutExpired:
            late = True
            _end_all_of(process)
            out, err = process.communicate()
        finally:
            _end_all_of(process)
    assert not late, f"{' '.join(words)[:300]} did not end in {longest_s:g} s:\n{out[-3000:]}{err[-3000:]}"
    if check:
        assert process.returncode == 0, f"{' '.join(words)[:300]}: {process.returncode}\n{out[-3000:]}{err[-3000:]}"
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _end_all_of(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
