"""docs/surveys.md says what its commands say: word by word where nothing is drawn, in their form where it is."""

from __future__ import annotations

import re

from experiments.lessons.page import BLOCK, PAGE, prepared, said


def test_every_command_of_the_page_says_what_stands_there() -> None:
    blocks = list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(blocks) == 8
    with prepared():
        for block in blocks:
            now = said(block["command"])
            drawn = any(word in block["command"] for word in ("survey ask", "survey read", "exam-score", "sum"))
            found, there = (_form(now), _form(block["said"])) if drawn else (now, block["said"])
            assert found == there, block["command"]


def _form(words: str) -> str:
    """Without numbers, the width of a table's cells, and digests."""
    return re.sub(r"[\d.,]+", "0", re.sub(r"[ ─━┃│┏┓┗┛┡┩└┘┳┴╇┼]+", " ", re.sub(r"SHA-256 \w+", "SHA-256", words)))
