"""docs/effects.md shows what the commands say; run as a program, this file writes it anew."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from experiments.benchmarks._simpson import BERKELEY, answer
from experiments.cli import cli

PAGE = Path(__file__).parents[3] / "docs" / "effects.md"
BLOCK = re.compile(r"```console\n\$ wardround (causal.*)\n[\s\S]*?```")
QUOTED = re.compile(r"<!-- berkeley -->\n(?:\n>.*)*\n")


def generated(text: str) -> str:
    """The page with what is said now."""
    text = BLOCK.sub(lambda found: f"```console\n$ wardround {found[1]}\n{_said(found[1])}```", text)
    quoted = "\n>\n".join(f"> {sentence}" for sentence in answer(BERKELEY, "admitted", "male").words)
    return QUOTED.sub(lambda _: f"<!-- berkeley -->\n\n{quoted}\n", text)


def _said(words: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_page_of_effects_shows_what_is_said() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert generated(text) == text


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
