"""One process that runs Flower's commands as they come: most of what a command takes is its start."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic

from common.errors import EngineError
from common.files.access import UMASK
from experiments.engines._flower_program import SEPARATOR

LARGEST_ANSWER_BYTES = 1 << 24
MOST_COMMANDS = 500
"""Then another process takes over: whatever a command leaves behind in it ends with it."""
ERRORS = "commands.log"
LAST_WORDS = 800
END_S = 5.0


@dataclass
class FlowerProcess:
    """program: `flwr-each`. It is started where there is none, and again after it ended. home: of its log."""

    program: Path
    environment: Mapping[str, str]
    home: Path
    _process: subprocess.Popen[bytes] | None = None
    _commands: int = 0
    _lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        """Be ready for the first command."""
        with self._lock:
            self._started()

    def run(self, words: Sequence[str], longest_s: float) -> tuple[int, str]:
        """Exit status and output of a command. Raises EngineError where none comes within `longest_s` seconds."""
        with self._lock:
            process = self._started()
            self._commands += 1
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(list(words)).encode() + b"\n")
                process.stdin.flush()
                said = self._heard(process, f"flwr {words[0]}", monotonic() + longest_s)
            except OSError as error:
                self._end()
                raise EngineError(f"flwr {words[0]} was not run: {error}") from error
            except EngineError:
                self._end()
                raise
        output, _, code = said.rpartition(SEPARATOR)
        return int(code), output

    def last_words(self) -> str:
        """What was last said to people by any command."""
        with suppress(OSError):
            return (self.home / ERRORS).read_bytes()[-LAST_WORDS:].decode("utf-8", "replace").strip()
        return ""

    def end(self) -> None:
        """For good, or until the next command."""
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and (self._process.poll() is not None or self._commands >= MOST_COMMANDS):
            self._end()
        if self._process is None:
            self._commands = 0
            with (self.home / ERRORS).open("wb") as errors:
                self._process = subprocess.Popen(
                    [str(self.program)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=dict(self.environment),
                    cwd=self.home,
                    umask=UMASK,
                    start_new_session=True,
                )
        return self._process

    def _heard(self, process: subprocess.Popen[bytes], name: str, deadline: float) -> str:
        """All that it says up to the end of its answer."""
        assert process.stdout is not None
        said, mark = b"", SEPARATOR.encode()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not (said.endswith(b"\n") and mark in said[-8:]):
                if not selector.select(max(0.0, deadline - monotonic())):
                    raise EngineError(f"{name} did not end in its time.")
                piece = os.read(process.stdout.fileno(), 1 << 16)
                said += piece
                if not piece or len(said) > LARGEST_ANSWER_BYTES:
                    raise EngineError(f"{name} failed: {self.last_words()}")
        return said.decode("utf-8", "replace").rstrip("\n")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
