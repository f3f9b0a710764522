"""Compressed images decoded in a process of its own: a library in C that a damaged file brings down ends there."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import SourceError

PROGRAM = Path(__file__).with_name("_dicom_decoder_process.py")
LONGEST_S = 300.0
"""That one image may take."""
LONGEST_ANSWER_BYTES = 1 << 16


class DecoderProcess:
    """Started when it is first needed, anew after it broke down, ended with the block that it is used in."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DecoderProcess:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._end()

    def decoded(self, data: bytes, syntax: str, options: Mapping[str, Any]) -> NDArray[Any]:
        """(rows, columns) of one compressed image; options: as pydicom's decoders want them.

        Raises SourceError where it cannot be decoded, takes too long, or brings the process down.
        """
        process = self._started()
        timer = Timer(LONGEST_S, process.kill)
        timer.start()
        try:
            about, content = _asked(process, data, {**options, "syntax": syntax})
            if "error" not in about:
                return np.frombuffer(content, np.dtype(about["dtype"])).reshape(about["shape"])
        except (OSError, ValueError, EOFError, struct.error, LookupError, TypeError, MemoryError) as error:
            self._end()
            raise SourceError(f"brought down its decoder (exit code {process.returncode}): it is damaged") from error
        finally:
            timer.cancel()
        raise SourceError(f"has pixels that cannot be decoded ({about['error']})")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    _close(stream)
            self._process = None


def _close(stream: Any) -> None:
    """What is left in it to be written is lost with the process."""
    try:
        stream.close()
    except OSError:
        return


def _asked(process: subprocess.Popen[bytes], data: bytes, about: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None and process.stdout is not None
    text = json.dumps({**about, "bytes": len(data)}).encode()
    process.stdin.write(struct.pack(">I", len(text)) + text + data)
    process.stdin.flush()
    (length,) = struct.unpack(">I", process.stdout.read(4))
    if length > LONGEST_ANSWER_BYTES:
        raise ValueError("an answer is too long")
    answer = json.loads(process.stdout.read(length))
    content = process.stdout.read(answer["bytes"])
    if len(content) != answer["bytes"]:
        raise EOFError("an answer was cut off")
    return answer, content
