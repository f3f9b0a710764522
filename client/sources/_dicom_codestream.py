"""The size that a compressed image says of itself, read without decoding any of it."""

from __future__ import annotations

JPEG_START, J2K_START, J2K_SIZE = b"\xff\xd8", b"\xff\x4f", b"\xff\x51"
JP2_START = b"\x00\x00\x00\x0cjP  "
NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers between those of JPEG's frame headers that are none: tables, a reserved one, arithmetic conditioning."""
JPEG_LS_FRAME = 0xF7


def size_in_codestream(data: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples a pixel of a JPEG, JPEG-LS or JPEG 2000 image; None for what is none, or says none.

    For JPEG 2000 (ISO 15444-1 A.5.1) that is the extent of the reference grid; for JPEG (ISO 10918-1 B.2.2) that of
    the first frame header.
    """
    if data.startswith(JP2_START):
        data = data[max(0, data.find(J2K_START + J2K_SIZE)) :]
    if data.startswith(J2K_START + J2K_SIZE):
        right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left, int.from_bytes(data[40:42], "big")
    return _jpeg_size(data) if data.startswith(JPEG_START) else None


def is_whole(data: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 image has its last marker (EOI, EOC): some decoders fill up what was
    cut off and say nothing. True for what is none of these.
    """
    start = data.find(J2K_START + J2K_SIZE) if data.startswith(JP2_START) else 0
    if not data[max(0, start) :].startswith((JPEG_START, J2K_START)):
        return True
    return data.rstrip(b"\0\xff").endswith(b"\xff\xd9") or data.rstrip(b"\0").endswith(b"\xff\xd9")


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    at = len(JPEG_START)
    while at + 10 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in NO_FRAME) or marker == JPEG_LS_FRAME:
            rows, columns = (int.from_bytes(data[start : start + 2], "big") for start in (at + 5, at + 7))
            return rows, columns, data[at + 9]
        at += 2 + length
    return None
