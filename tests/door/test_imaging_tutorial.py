"""The tutorial of images: its lines run, one after the other, and say what they promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

TUTORIAL = Path(__file__).parents[2] / "docs" / "imaging.md"


def test_the_lines_of_the_tutorial_run_and_end_where_it_says() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    room: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(TUTORIAL), "exec"), room)
    assert room["aligned"].doubts == ()
    assert room["dice"](room["there"], room["truth"]) > 0.9
    assert round(room["dice"](room["found"], room["truth"]), 2) == 0.86
    assert room["row"]["dice"] == room["dice"](room["found"], room["truth"])
    assert room["coarse"].shape == (48, 40)
    assert isinstance(room["grown"], np.ndarray)
    assert room["dice"](room["grown"], room["truth"]) > 0.5
