"""What a terminal has no letter for is shown in letters that it has."""

from __future__ import annotations

PLAIN = str.maketrans(
    {"\u2013": "-", "\u2212": "-", "\u2026": "...", "\u201c": '"', "\u201d": '"', "\u00d7": "x", "\u00a0": " "}
)


def writable(text: str, encoding: str) -> str:
    """Text as a terminal of this encoding can show it: what it has no letter for as ASCII, or by its number.

    A name that a Latin-1 terminal cannot write must neither vanish nor end what is written after it.
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
