"""Runs the commands of docs/surveys.md and writes what they say below each: `python -m experiments.lessons.page`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PAGE = Path(__file__).parents[2] / "docs" / "surveys.md"
BLOCK = re.compile(r"^```console\n\$ wardround (?P<command>.*)\n(?P<said>(?:.*\n)*?)```$", re.MULTILINE)
PERSONS, SMOKERS = 400, {"north": 130, "south": 100}


def written_anew(text: str) -> str:
    """The page with what its commands say now."""
    with prepared():
        return BLOCK.sub(
            lambda block: f"```console\n$ wardround {block['command']}\n{said(block['command'])}```", text
        )


def said(command: str) -> str:
    """What a command says."""
    from typer.testing import CliRunner

    from experiments.cli import cli

    done = CliRunner().invoke(cli, shlex.split(command))
    return "".join(f"{line.rstrip()}\n" for line in done.output.splitlines())


@contextmanager
def prepared() -> Iterator[None]:
    """In a folder of its own, with the tables of two hospitals whose persons smoke or not."""
    before = Path.cwd()
    with TemporaryDirectory() as place:
        os.chdir(place)
        try:
            for site, smokers in SMOKERS.items():
                rows = (f"{site}-{at},{'yes' if at < smokers else 'no'}" for at in range(PERSONS))
                Path(f"{site}.csv").write_text("\n".join(["patient,smokes", *rows]) + "\n")
            yield
        finally:
            os.chdir(before)


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
