"""The colours of pictures and those that the report's legend names."""

from __future__ import annotations

from experiments.running.gallery import COLOURS
from server.reporting.sections.datasets import PICTURE_COLOURS
from server.reporting.style import STYLE


def test_the_report_names_the_colours_that_pictures_are_drawn_in() -> None:
    assert len(COLOURS) == PICTURE_COLOURS + 1
    for number, (red, green, blue) in enumerate(COLOURS[1:].tolist(), 1):
        assert f".p{number} {{ color: #{red:02x}{green:02x}{blue:02x}; }}" in STYLE
