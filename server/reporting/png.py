"""Pictures that a run folder brings: a page shows no other kind, and none that would fill a browser's memory."""

from __future__ import annotations

import base64
import binascii

PNG_URI = "data:image/png;base64,"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PICTURE_CHARACTERS = 2_000_000
PNG_HEADER_BYTES = 24
"""The signature, and the width and height that follow it."""
LARGEST_PICTURE_PIXELS = 1 << 24
"""A few bytes of PNG can say that they are gigapixels, which a browser then makes room for."""


def is_png(uri: str) -> bool:
    """Whether a data URI is a PNG of a size that can be shown."""
    if not uri.startswith(PNG_URI) or len(uri) > LARGEST_PICTURE_CHARACTERS:
        return False
    try:
        head = base64.b64decode(uri[len(PNG_URI) :], validate=True)[:PNG_HEADER_BYTES]
    except (binascii.Error, ValueError):
        return False
    width, height = (int.from_bytes(head[at : at + 4]) for at in (16, 20))
    return head.startswith(PNG_SIGNATURE) and width * height <= LARGEST_PICTURE_PIXELS
