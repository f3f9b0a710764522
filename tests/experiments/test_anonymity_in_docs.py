"""docs/anonymity.md shows what the command says; run as a program, this file writes it anew."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from typer.testing import CliRunner

from experiments.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "anonymity.md"
BLOCK = re.compile(r"```console\n\$ wardround (anonymise.*)\n[\s\S]*?```")
PAINS = ("typical", "atypical", "none", "other")


def ward() -> str:
    """300 patients: the older are sick more often."""
    rng = np.random.default_rng(16)
    lines = []
    for at in range(300):
        age = int(np.clip(rng.normal(58, 11), 25, 90))
        sick = "sick" if rng.random() < age / 100 else "well"
        sex, pain = ("male", "female")[rng.integers(2)], PAINS[rng.integers(4)]
        lines.append(f"P{at},{age},{sex},{pain},{rng.normal(240, 50):.0f},{rng.normal(140, 25):.0f},{sick}")
    return "\n".join(["patient_id,age,sex,pain,chol,rate,disease", *lines]) + "\n"


def generated(text: str, place: Path) -> str:
    """The page with what is said now."""
    (place / "ward.csv").write_text(ward())
    before = Path.cwd()
    os.chdir(place)
    try:
        return BLOCK.sub(lambda found: f"```console\n$ wardround {found[1]}\n{_said(found[1])}```", text)
    finally:
        os.chdir(before)


def _said(words: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_page_of_anonymity_shows_what_is_said(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert generated(text, tmp_path) == text


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        PAGE.write_text(generated(PAGE.read_text(encoding="utf-8"), Path(made)), encoding="utf-8")
