"""The program of a process of its own in which libraries in C decode compressed images: run, never imported.

It reads requests from its standard input until that ends, and answers each on its standard output. Both are a length
of four bytes, JSON of that length, and as many bytes as the JSON's "bytes" says.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import warnings
from typing import Any, BinaryIO

MOST_MEMORY_BYTES = 1 << 33


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    warnings.simplefilter("ignore")
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        asked = json.loads(source.read(*struct.unpack(">I", head)))
        _answer(target, *_decoded(source.read(asked.pop("bytes")), asked.pop("syntax"), asked))


def _decoded(data: bytes, syntax: str, options: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    try:
        values, _ = get_decoder(syntax).as_array(encapsulate([data]), index=0, raw=True, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other process names it and goes on
        return {"error": type(error).__name__, "bytes": 0}, b""
    content = values.tobytes()
    return {"dtype": values.dtype.str, "shape": values.shape, "bytes": len(content)}, content


def _answer(target: BinaryIO, about: dict[str, Any], content: bytes) -> None:
    text = json.dumps(about).encode()
    target.write(struct.pack(">I", len(text)) + text + content)
    target.flush()


if __name__ == "__main__":
    main()
