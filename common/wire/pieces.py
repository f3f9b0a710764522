"""A message beyond what one call of a line carries, in pieces: checked one by one before anything is made of them.

Each piece says which transfer it is of, how long the whole is, how long pieces are and which of them it is, and has
the SHA-256 of all so far, its own bytes included: one that is doubled, missing, of another transfer, out of order or
changed is noticed as it comes. Who gathers them says beforehand how long a whole may be, and takes no more.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from hashlib import sha256
from os import urandom

import numpy as np

from common.errors import WireError
from common.wire.long_form import Buffer

PIECE_BYTES = 1 << 20
"""Of a whole at a time; a message that is no longer goes as it is."""
LARGEST_PIECE_BYTES = 1 << 30
"""What one call of a line may carry."""
LARGEST_MESSAGE_BYTES = 1 << 32
"""Of a whole, where nobody says another bound."""
MARK = b"\0wardround part\1"
_TRANSFER_BYTES = 16
_HEAD = struct.Struct(f"<16s{_TRANSFER_BYTES}sQQQ32s")
"""Mark, transfer, bytes of the whole, bytes of a piece, number of this one from 0, digest of all up to its end."""


def is_piece(data: Buffer) -> bool:
    """Whether these bytes are a part of a message only."""
    return data[: len(MARK)] == MARK


def in_pieces(parts: Sequence[Buffer], piece_bytes: int | None = None) -> Iterator[bytes]:
    """A message's bytes as they go out: whole where they are few, else piece by piece; no copy of all is made."""
    total, piece_bytes = sum(map(len, parts)), piece_bytes or PIECE_BYTES
    if total <= piece_bytes:
        whole = b"".join(parts)
        del parts
        yield whole
        return
    transfer, digest, cut = urandom(_TRANSFER_BYTES), sha256(), _cut(parts, piece_bytes)
    del parts  # nothing of the message stays with whoever waits for nothing more
    for number in range(-(-total // piece_bytes)):
        content = b"".join(next(cut))
        digest.update(content)
        if (number + 1) * piece_bytes >= total:
            cut.close()
        yield _HEAD.pack(MARK, transfer, total, piece_bytes, number, digest.digest()) + content


def _cut(parts: Sequence[Buffer], size: int) -> Generator[list[memoryview], None, None]:
    piece, room = list[memoryview](), size
    for one in parts:
        part, at = memoryview(one), 0
        while at < len(part):
            taken = part[at : at + room]
            piece.append(taken)
            at += len(taken)
            room -= len(taken)
            if not room:
                yield piece
                piece, room = [], size
    if piece:
        yield piece


class Gathering:
    """One message that comes in pieces. largest_bytes: of the whole; memory is taken as pieces come, never before."""

    def __init__(self, largest_bytes: int = LARGEST_MESSAGE_BYTES) -> None:
        self._largest_bytes = largest_bytes
        self._said: tuple[bytes, int, int] | None = None
        self._count, self._digest = 0, sha256()
        self._whole = np.empty(0, np.uint8)

    def take(self, data: Buffer) -> memoryview | None:
        """The whole message, once its last piece is here. Raises WireError where a piece is not the next of it."""
        if len(data) < _HEAD.size:
            raise WireError("a piece of a message is cut short.")
        _, transfer, total, piece_bytes, number, digest = _HEAD.unpack_from(data)
        if self._said is None:
            self._begin(total, piece_bytes)
            self._said = (transfer, total, piece_bytes)
        if (transfer, total, piece_bytes) != self._said:
            raise WireError("a piece of another message came.")
        if number != self._count:
            raise WireError(f"piece {number} of a message came; {self._count} was due.")
        content, at = memoryview(data)[_HEAD.size :], number * piece_bytes
        if len(content) != min(piece_bytes, total - at):
            raise WireError(
                f"a piece of a message has {len(content)} bytes; {min(piece_bytes, total - at)} were due."
            )
        self._digest.update(content)
        if self._digest.digest() != digest:
            raise WireError("a piece of a message is not what its digest says.")
        self._whole[at : at + len(content)] = content
        self._count += 1
        return self._whole.data.toreadonly() if at + len(content) == total else None

    def _begin(self, total: int, piece_bytes: int) -> None:
        if not 0 < piece_bytes <= LARGEST_PIECE_BYTES or not total > piece_bytes:
            raise WireError("a message that fits into one piece came in pieces.")
        if total > self._largest_bytes:
            raise WireError(f"a message of {total} bytes was announced; at most {self._largest_bytes} are taken.")
        self._whole = np.empty(total, np.uint8)
