"""Types the commands of a page, one after the other, and holds what they say against what the page shows."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from time import process_time

from typer.testing import CliRunner

from experiments.cli import cli
from tests.pages.page_commands import ROOT, Typed
from tests.pages.stages import EVERYWHERE, RUN, Gap, Stage

NAMED = re.compile(r"^```(?:toml|python)\n# (\S+\.(?:toml|py))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FAILS = re.compile(r"[A-Z]\w+: |The log is not as it was")
SIGNER = re.compile(r"(?:[0-9]{4} ){7}[0-9]{4}")


def play(commands: list[Typed], stage: Stage, place: Path) -> Iterator[tuple[Typed, float, str]]:
    """Each command with its CPU seconds and what went wrong, "" where nothing did."""
    digits = ""
    with chdir(place):
        for name, text in NAMED.findall((ROOT / commands[0].page).read_text(encoding="utf-8")):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text, encoding="utf-8")
        gaps = (*stage.lay(place), *stage.gaps, *EVERYWHERE)
        for command in commands:
            began = process_time()
            code, said = typed(
                filled(command.words, gaps, stage.more).replace("3733 6494 ...", digits), command.shown
            )
            digits = next(iter(SIGNER.findall(said)), digits)
            yield command, process_time() - began, wrong(command.shown, code, said)


def filled(words: str, gaps: Sequence[Gap], more: Mapping[str, str]) -> str:
    """The command with all that its page leaves open."""
    taken: set[str] = set()
    filled = words
    for begin, word, instead in gaps:
        fits = words == begin[:-1] if begin.endswith("$") else words.startswith(begin)
        if fits and word in words and word not in taken:
            taken.add(word)
            filled = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", instead, filled)
    filled = re.sub(r"runs/([\w-]+)/(?:\.\.\.|NEWEST)", newest, filled)
    return " ".join([filled, *(words_more for begin, words_more in more.items() if words.startswith(begin))])


def newest(named: re.Match[str]) -> str:
    """The folder of the run that began last, of the study that is named; of any, where it has none here."""
    runs = sorted(Path("runs", named[1]).glob("*"), key=lambda one: one.stat().st_mtime)
    return os.fspath(runs[-1] if runs else RUN)


def typed(words: str, shown: str) -> tuple[int, str]:
    """The exit status and what was said."""
    program, *arguments = shlex.split(words)
    if program == "cat":
        Path(arguments[0]).write_text(shown + "\n", encoding="utf-8")
        return 0, shown
    assert program == "wardround", words
    done = CliRunner(env={"COLUMNS": "200", **os.environ}).invoke(cli, arguments)
    return done.exit_code, done.output


def wrong(shown: str, code: int, said: str) -> str:
    """In words, "" where nothing is: how it ended, or what of the page it did not say where it stands there."""
    if code != (1 if FAILS.match(shown) else 0):
        return f"exited with {code}: {said.strip()[-1500:]}"
    rest = loose(said)
    for line in filter(None, (loose(line).removesuffix("...").strip() for line in shown.splitlines())):
        before, found, rest = rest.partition(line)
        if not found:
            return f"did not say {line!r}, but {before.strip()[-1500:]}"
    return ""


def loose(text: str) -> str:
    """Without what differs from machine to machine and day to day: places, numbers, and where lines end."""
    return " ".join(re.sub(r"\d[\d.,:T-]*", "0", re.sub(r"\S*/\S*", "/", text)).split())
